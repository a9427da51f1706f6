/** Registers of the RP2040 that this port uses; numbers are those of the RP2040 datasheet. */
#pragma once
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t*)(address))
/** Aliases of a peripheral's registers that set or clear bits in one write. */
#define SET_BITS(address) REGISTER((address) + 0x2000)
#define CLEAR_BITS(address) REGISTER((address) + 0x3000)

#define XIP_BASE 0x10000000u
#define XIP_SSI 0x18000000u

#define CLOCKS 0x40008000u
#define CLK_REF_CTRL (CLOCKS + 0x30)
#define CLK_REF_SELECTED (CLOCKS + 0x38)
#define CLK_SYS_CTRL (CLOCKS + 0x3c)
#define CLK_SYS_SELECTED (CLOCKS + 0x44)
#define CLK_PERI_CTRL (CLOCKS + 0x48)
#define CLK_ADC_CTRL (CLOCKS + 0x60)
#define CLK_ENABLE (1u << 11)

#define RESETS_RESET 0x4000c000u
#define RESETS_DONE 0x4000c008u
#define RESET_ADC (1u << 0)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_PWM (1u << 14)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
#define RESET_UART1 (1u << 23)

#define PSM_WDSEL 0x40010008u
/** Everything but the oscillators. */
#define PSM_WDSEL_ALL 0x0001fffcu

#define GPIO_CTRL(pin) (0x40014004u + 8 * (pin))
#define FUNCTION_UART 2u
#define FUNCTION_PWM 4u
#define FUNCTION_SIO 5u
#define FUNCTION_NONE 31u
#define PAD(pin) (0x4001c004u + 4 * (pin))
#define PAD_INPUT (1u << 6)
#define PAD_OUTPUT_DISABLE (1u << 7)
#define PAD_DRIVE_4MA (1u << 4)
#define PAD_PULL_UP (1u << 3)
#define PAD_PULL_DOWN (1u << 2)
#define PAD_SCHMITT (1u << 1)

#define XOSC_CTRL 0x40024000u
#define XOSC_STATUS 0x40024004u
#define XOSC_STARTUP 0x4002400cu
#define PLL_SYS 0x40028000u
#define PLL_CS (PLL_SYS + 0)
#define PLL_PWR (PLL_SYS + 4)
#define PLL_FBDIV (PLL_SYS + 8)
#define PLL_PRIM (PLL_SYS + 12)

#define UART0 0x40034000u
#define UART1 0x40038000u
#define UART_DR 0x00u
#define UART_FR 0x18u
#define UART_FR_TX_FULL (1u << 5)
#define UART_FR_RX_EMPTY (1u << 4)
#define UART_IBRD 0x24u
#define UART_FBRD 0x28u
#define UART_LCR_H 0x2cu
#define UART_CR 0x30u
#define UART_IFLS 0x34u
#define UART_IMSC 0x38u
#define UART_ICR 0x44u
#define UART_INT_RX (1u << 4)
#define UART_INT_TX (1u << 5)
#define UART_INT_RX_TIMEOUT (1u << 6)

#define ADC_CS 0x4004c000u
#define ADC_RESULT 0x4004c004u

#define PWM_CSR(slice) (0x40050000u + 0x14 * (slice))
#define PWM_DIV(slice) (0x40050004u + 0x14 * (slice))
#define PWM_CC(slice) (0x4005000cu + 0x14 * (slice))
#define PWM_TOP(slice) (0x40050010u + 0x14 * (slice))

#define TIMER 0x40054000u
#define TIMER_ALARM0 (TIMER + 0x10)
#define TIMER_ARMED (TIMER + 0x20)
#define TIMER_RAW_HIGH (TIMER + 0x24)
#define TIMER_RAW_LOW (TIMER + 0x28)
#define TIMER_INTR (TIMER + 0x34)
#define TIMER_INTE (TIMER + 0x38)

#define WATCHDOG 0x40058000u
#define WATCHDOG_CTRL (WATCHDOG + 0x00)
#define WATCHDOG_LOAD (WATCHDOG + 0x04)
#define WATCHDOG_REASON (WATCHDOG + 0x08)
#define WATCHDOG_SCRATCH0 (WATCHDOG + 0x0c)
#define WATCHDOG_TICK (WATCHDOG + 0x2c)

#define ROSC_RANDOMBIT 0x4006001cu

#define SIO_GPIO_IN 0xd0000004u
#define SIO_OUT_SET 0xd0000014u
#define SIO_OUT_CLEAR 0xd0000018u
#define SIO_OE_SET 0xd0000024u
#define SIO_OE_CLEAR 0xd0000028u

#define SIO_DIV_UDIVIDEND 0xd0000060u
#define SIO_DIV_UDIVISOR 0xd0000064u
#define SIO_DIV_QUOTIENT 0xd0000070u
#define SIO_DIV_REMAINDER 0xd0000074u

#define NVIC_ISER 0xe000e100u
#define NVIC_ICPR 0xe000e280u
#define SCB_VTOR 0xe000ed08u

#define IRQ_TIMER_0 0
#define IRQ_UART0 20
#define IRQ_UART1 21

/** Pointers of 16 bits in the boot ROM. */
#define ROM_FUNCTION_TABLE (*(const uint16_t*)0x14)
#define ROM_TABLE_LOOKUP (*(const uint16_t*)0x18)
