#pragma once

/** UART0 on pins 0 and 1 is the link, UART1 on pins 4 and 5 the console; both 115200 baud, 8N1. */
void uart_start(void);
