/** The resident base: the system's module, the app that runs on it, and what is between them. */
#pragma once
#include <stdint.h>

#include "image.h"

/** Runs the app of an image that app_image_problem() found nothing against; 0 for none. Never returns. */
__attribute__((noreturn)) void base_run(const struct app_image* image);

/** Why an image cannot run, 0 when it can. `from` and `to` bound the RAM for apps. */
const char* app_image_problem(const struct app_image* image, uint32_t bytes_max, uint32_t abi_entries,
                              const uint8_t* from, const uint8_t* to);
