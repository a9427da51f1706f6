/**
 * Pins in a file that others may look at and write to, a line of two words a pin; the ADC reads its next value from a file of 16-bit
 * words a channel, from the start again at its end.
 */
#include <stdio.h>
#include <string.h>

#include "../common/port.h"
#include "../common/table.generated.h"
#include "posix.h"

#define PINS 30
#define ADC_CHANNELS 4
#define OFF 0
#define OUTPUT 2
#define PWM 3

static struct pin {
  uint16_t mode;
  uint16_t level;
}* pins;
static FILE* series[ADC_CHANNELS];

void pins_open(void) {
  pins = map_file("pins.bin", PINS * sizeof *pins, 0);
  memset(pins, 0, PINS * sizeof *pins);
}
int32_t port_pin_mode(uint32_t pin, uint32_t mode) {
  if (pin >= PINS || mode > PWM) return -ERROR_PIN_INVALID;
  pins[pin].mode = (uint16_t)mode;
  if (mode >= OUTPUT) pins[pin].level = 0;
  return 0;
}
int32_t port_pin_write(uint32_t pin, uint32_t value) {
  if (pin >= PINS || pins[pin].mode < OUTPUT) return -ERROR_PIN_INVALID;
  pins[pin].level = (uint16_t)(pins[pin].mode == OUTPUT ? value != 0 : value);
  return 0;
}
int32_t port_pin_read(uint32_t pin) {
  if (pin >= PINS || pins[pin].mode == OFF) return -ERROR_PIN_INVALID;
  return pins[pin].level;
}
int32_t port_adc_read(uint32_t channel) {
  if (channel >= ADC_CHANNELS) return -ERROR_PIN_INVALID;
  if (series[channel] == 0) {
    const char name[] = {'a', 'd', 'c', '-', (char)('0' + channel), '.', 'b', 'i', 'n', 0};
    series[channel] = open_series(name);
    if (series[channel] == 0) return -ERROR_PIN_INVALID;
  }
  uint8_t word[2];
  if (fread(word, 2, 1, series[channel]) != 1) {
    rewind(series[channel]);
    if (fread(word, 2, 1, series[channel]) != 1) return -ERROR_PIN_INVALID;
  }
  return word[1] << 8 | word[0];
}
