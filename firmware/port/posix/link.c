/** The link: a pseudo-terminal, a ring a direction, and a thread at the far side of each, where a chip has its UART's interrupt. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "../common/port.h"
#include "../common/ring.h"
#include "posix.h"

#define FD_VARIABLE "TARDIGRADE_BOARD_LINK"

RING(link_in, LINK_IN_BYTES);
RING(link_out, LINK_OUT_BYTES);
static sem_t out_filled, in_emptied;
static int master, slave;

/** A byte at a time, as a UART gives it; a full ring holds the sender up, which a pseudo-terminal can do and a wire cannot. */
static void* receive(void* nothing) {
  uint8_t bytes[256];
  for (;;) {
    ssize_t got = read(master, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) die("link");
    for (ssize_t at = 0; at < got; at += 1) {
      while (!ring_put(&link_in, bytes[at])) {
        port_signal();
        while (sem_wait(&in_emptied) != 0) continue;
      }
    }
    port_signal();
  }
  return nothing;
}
static void* transmit(void* nothing) {
  for (;;) {
    while (sem_wait(&out_filled) != 0) continue;
    uint8_t bytes[256];
    size_t length = 0;
    while (length < sizeof bytes && ring_take(&link_out, bytes + length)) length += 1;
    for (size_t at = 0; at < length;) {
      ssize_t sent = write(master, bytes + at, length - at);
      if (sent < 0 && errno != EINTR) die("link");
      if (sent > 0) at += (size_t)sent;
    }
    if (ring_used(&link_out) > 0) sem_post(&out_filled);
    port_signal();
  }
  return nothing;
}

void link_open(void) {
  const char* handed = getenv(FD_VARIABLE);
  if (handed == 0 || sscanf(handed, "%d,%d", &master, &slave) != 2) {
    master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) die("pseudo-terminal");
    /* Held open, so that the line does not hang up while nobody listens. */
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0) die("pseudo-terminal");
    struct termios raw;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
  }
  printf("{\"link\":\"%s\"}\n", ptsname(master));
  fflush(stdout);
  sem_init(&out_filled, 0, 0);
  sem_init(&in_emptied, 0, 0);
  /* Signals are the main thread's. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  if (pthread_create(&thread, 0, receive, 0) != 0 || pthread_create(&thread, 0, transmit, 0) != 0) die("thread");
  pthread_sigmask(SIG_SETMASK, &before, 0);
}
void link_hand_over(void) {
  char both[32];
  snprintf(both, sizeof both, "%d,%d", master, slave);
  setenv(FD_VARIABLE, both, 1);
}

uint32_t port_link_room(void) {
  return ring_room(&link_out);
}
void port_link_write(const uint8_t* bytes, uint32_t length) {
  for (uint32_t index = 0; index < length; index += 1) ring_put(&link_out, bytes[index]);
  sem_post(&out_filled);
}
uint32_t port_link_read(uint8_t* bytes, uint32_t capacity) {
  uint32_t length = 0;
  while (length < capacity && ring_take(&link_in, bytes + length)) length += 1;
  if (length > 0) sem_post(&in_emptied);
  return length;
}
