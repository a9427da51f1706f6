/** Pins and ADC. Pins 0, 1, 4, 5 are the UARTs', 23 to 25 the board's own but for the LED on 25; 26 to 29 are ADC 0 to 3. */
#include "../common/port.h"
#include "../common/table.generated.h"
#include "registers.h"

#define OFF 0
#define INPUT 1
#define OUTPUT 2
#define PWM 3
#define PINS 30
#define RESERVED (1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 23 | 1u << 24)
#define ADC_PIN 26
#define ADC_CHANNELS 4

static uint8_t modes[PINS];

static bool is_pin(uint32_t pin) {
  return pin < PINS && (RESERVED >> pin & 1) == 0;
}

int32_t port_pin_mode(uint32_t pin, uint32_t mode) {
  if (!is_pin(pin) || mode > PWM) return -ERROR_PIN_INVALID;
  modes[pin] = (uint8_t)mode;
  REGISTER(SIO_OE_CLEAR) = 1u << pin;
  REGISTER(SIO_OUT_CLEAR) = 1u << pin;
  REGISTER(PAD(pin)) = PAD_INPUT | PAD_DRIVE_4MA | PAD_PULL_DOWN | PAD_SCHMITT;
  if (mode == PWM) {
    uint32_t slice = pin >> 1 & 7;
    REGISTER(PWM_TOP(slice)) = 65534;
    port_pin_write(pin, 0);
    REGISTER(PWM_CSR(slice)) = 1;
  }
  if (mode == OUTPUT) REGISTER(SIO_OE_SET) = 1u << pin;
  REGISTER(GPIO_CTRL(pin)) = mode == OFF ? FUNCTION_NONE : mode == PWM ? FUNCTION_PWM : FUNCTION_SIO;
  return 0;
}

int32_t port_pin_write(uint32_t pin, uint32_t value) {
  if (!is_pin(pin) || modes[pin] < OUTPUT) return -ERROR_PIN_INVALID;
  if (modes[pin] == OUTPUT) {
    REGISTER(value != 0 ? SIO_OUT_SET : SIO_OUT_CLEAR) = 1u << pin;
    return 0;
  }
  uint32_t shift = (pin & 1) * 16;
  uint32_t compare = PWM_CC(pin >> 1 & 7);
  REGISTER(compare) = (REGISTER(compare) & ~(0xffffu << shift)) | (value & 0xffffu) << shift;
  return 0;
}

int32_t port_pin_read(uint32_t pin) {
  if (!is_pin(pin) || modes[pin] == OFF) return -ERROR_PIN_INVALID;
  return REGISTER(SIO_GPIO_IN) >> pin & 1;
}

/** Twelve bits, stretched so that full scale is 65535. */
int32_t port_adc_read(uint32_t channel) {
  if (channel >= ADC_CHANNELS) return -ERROR_PIN_INVALID;
  uint32_t pin = ADC_PIN + channel;
  REGISTER(GPIO_CTRL(pin)) = FUNCTION_NONE;
  REGISTER(PAD(pin)) = PAD_OUTPUT_DISABLE;
  REGISTER(ADC_CS) = channel << 12 | 1;
  while ((REGISTER(ADC_CS) & 1u << 8) == 0) continue;
  REGISTER(ADC_CS) = channel << 12 | 1u << 2 | 1;
  while ((REGISTER(ADC_CS) & 1u << 8) == 0) continue;
  uint32_t raw = REGISTER(ADC_RESULT) & 0xfffu;
  return (int32_t)(raw << 4 | raw >> 8);
}
