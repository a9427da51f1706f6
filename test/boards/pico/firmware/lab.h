/* Registers of the RP2040 that the test firmware uses, and what its parts share. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define SET(address) REG((address) + 0x2000)
#define CLEAR(address) REG((address) + 0x3000)

#define RESETS 0x4000c000u
#define CLOCKS 0x40008000u
#define PSM 0x40010000u
#define IO_BANK0 0x40014000u
#define PADS_BANK0 0x4001c000u
#define XOSC 0x40024000u
#define PLL_SYS 0x40028000u
#define UART0 0x40034000u
#define UART1 0x40038000u
#define ADC 0x4004c000u
#define PWM 0x40050000u
#define TIMER 0x40054000u
#define WATCHDOG 0x40058000u
#define ROSC 0x40060000u
#define CHIP_RESET 0x40064008u
#define SIO 0xd0000000u
#define NVIC_ISER 0xe000e100u
#define NVIC_ICER 0xe000e180u
#define VTOR 0xe000ed08u
#define AIRCR 0xe000ed0cu

#define IRQ_TIMER0 0
#define IRQ_PWM 4
#define IRQ_IO_BANK0 13
#define IRQ_UART0 20
#define IRQ_UART1 21
#define IRQS 26

#define RAM_CODE __attribute__((section(".ram_code"), noinline, long_call))

/* Not cleared at start: what the tests read, and what tells a warm start from a cold one. */
extern volatile uint32_t kept[256];

typedef void handler(void);
extern handler *volatile interrupt_handlers[IRQS];
extern handler *volatile hard_fault_handler;

void wait_for_interrupt(void);
void enable_interrupt(int number, handler *call);
void uart_open(uint32_t uart, int transmit_pin, int baud);
void uart_put(uint32_t uart, uint8_t byte);
uint32_t now_us(void);
void alarm_at(uint32_t us);
/* Lets the vector table and the handlers be in RAM, as code must be that runs while flash is busy. */
void vectors_to_ram(void);

typedef void flash_call(void);
typedef void flash_erase_call(uint32_t offset, uint32_t count, uint32_t block, uint32_t command);
typedef void flash_program_call(uint32_t offset, const uint8_t *data, uint32_t count);
void *rom_function(char first, char second);
void flash_erase(uint32_t offset, uint32_t count);
void flash_program(uint32_t offset, const uint8_t *data, uint32_t count);

void run_fault(uint32_t number);
