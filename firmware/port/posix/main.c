/**
 * The base as a Linux process: the port that shows what an RTOS has to fill in. The link is a pseudo-terminal, whose name is printed;
 * two threads stand where a UART's interrupt is. A folder holds what the board keeps: the journal's flash, the retained RAM over a
 * restart, the pins for whoever looks on, and the series that the ADC reads.
 *
 *   board --state FOLDER [--time-scale N]
 *   SIGUSR1 resets it with RAM kept, SIGKILL is the power cut, SIGTERM ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../common/base.h"
#include "../common/port.h"
#include "../common/ring.h"
#include "posix.h"
#include "system.h"

const char port_board_name[] = "posix";
uint32_t port_panic_notes[4];
uintptr_t app_stack_floor;

extern const struct app_image app_image;

static const char* folder;
static uint32_t time_scale = 1;
static char** arguments;
static uint32_t reason;
static sem_t something_to_do;
static volatile sig_atomic_t reset_asked;
static struct timespec booted;

_Noreturn void die(const char* what) {
  fprintf(stderr, "board: %s: %s\n", what, strerror(errno));
  exit(1);
}

void* map_file(const char* name, size_t bytes, uint8_t blank) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) die(path);
  off_t had = lseek(file, 0, SEEK_END);
  if (ftruncate(file, (off_t)bytes) != 0) die(path);
  uint8_t* at = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) die(path);
  close(file);
  if ((size_t)had < bytes) memset(at + had, blank, bytes - (size_t)had);
  return at;
}

FILE* open_series(const char* name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return fopen(path, "rbe");
}

/* Clock and semaphore */

static uint64_t since(const struct timespec* from) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)(now.tv_sec - from->tv_sec) * 1000000u + (uint64_t)((now.tv_nsec - from->tv_nsec) / 1000);
}
uint64_t port_now_us(void) {
  return since(&booted) * time_scale;
}
void port_signal(void) {
  sem_post(&something_to_do);
}
void port_wait(uint64_t deadline_us) {
  uint64_t now = port_now_us();
  if (deadline_us > now) {
    uint64_t wait_us = (deadline_us - now) / time_scale + 1;
    if (wait_us > 1000000u) wait_us = 1000000u;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + wait_us * 1000u;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    while (sem_timedwait(&something_to_do, &until) != 0 && errno == EINTR && !reset_asked) continue;
  }
  while (sem_trywait(&something_to_do) == 0) continue;
  if (reset_asked) port_restart(1);
}

/* Board */

uint32_t port_random(void) {
  uint32_t bits;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) die("getrandom");
  return bits;
}
uint32_t port_reset_reason(void) {
  return reason;
}

struct kept {
  uint32_t magic;
  uint32_t reason;
  uint32_t panic[4];
  uint8_t retained[SYSTEM_RETAINED_BYTES];
};
#define KEPT_MAGIC 0x4b455054u

/** RAM outlives a reset, not a power cut: it is handed over in a file that the next start takes and removes. */
_Noreturn void port_restart(uint32_t why) {
  char path[512];
  snprintf(path, sizeof path, "%s/retained.bin", folder);
  FILE* file = fopen(path, "wb");
  if (file == 0) die(path);
  static struct kept kept;
  kept.magic = KEPT_MAGIC;
  kept.reason = why;
  memcpy(kept.panic, port_panic_notes, sizeof kept.panic);
  memcpy(kept.retained, system_arena + SYSTEM_RETAINED_BASE, SYSTEM_RETAINED_BYTES);
  fwrite(&kept, sizeof kept, 1, file);
  fclose(file);
  link_hand_over();
  execv("/proc/self/exe", arguments);
  die("execv");
}
static void take_over(void) {
  char path[512];
  snprintf(path, sizeof path, "%s/retained.bin", folder);
  FILE* file = fopen(path, "rb");
  if (file == 0) return;
  static struct kept kept;
  if (fread(&kept, sizeof kept, 1, file) == 1 && kept.magic == KEPT_MAGIC) {
    reason = kept.reason;
    memcpy(port_panic_notes, kept.panic, sizeof kept.panic);
    memcpy(system_arena + SYSTEM_RETAINED_BASE, kept.retained, SYSTEM_RETAINED_BYTES);
  }
  fclose(file);
  unlink(path);
}

void port_console(const char* line) {
  fputs(line, stderr);
}

static void on_reset(int signal) {
  (void)signal;
  reset_asked = 1;
  sem_post(&something_to_do);
}
static void on_end(int signal) {
  (void)signal;
  _exit(0);
}

int main(int count, char** values) {
  arguments = values;
  for (int at = 1; at + 1 < count; at += 2) {
    if (strcmp(values[at], "--state") == 0) folder = values[at + 1];
    else if (strcmp(values[at], "--time-scale") == 0) time_scale = (uint32_t)strtoul(values[at + 1], 0, 10);
    else folder = 0, at = count;
  }
  if (folder == 0 || time_scale == 0 || time_scale > 1000) {
    fprintf(stderr, "usage: board --state FOLDER [--time-scale 1..1000]\n");
    return 2;
  }
  clock_gettime(CLOCK_MONOTONIC, &booted);
  sem_init(&something_to_do, 0, 0);
  take_over();
  flash_open();
  pins_open();
  link_open();
  struct sigaction action = {.sa_handler = on_reset};
  sigaction(SIGUSR1, &action, 0);
  action.sa_handler = on_end;
  sigaction(SIGTERM, &action, 0);
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGTERM);
  /* A restart inside the handler's own signal leaves it blocked. */
  sigprocmask(SIG_UNBLOCK, &both, 0);
  app_stack_floor = (uintptr_t)__builtin_frame_address(0) - APP_STACK_BYTES;
  base_run(&app_image);
}
