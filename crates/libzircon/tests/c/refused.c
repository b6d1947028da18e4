// A page that a pager refuses: SIGBUS with the address for a program that handles it, a status for one that asks, death for one
// that does neither. With either way to deal with accesses that wait.

#include <pthread.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zircon/syscalls/port.h>

#include "check.h"

#define PAGES 4

static zx_handle_t pager, port, vmo;
static volatile uint8_t* at;
static sigjmp_buf back;
static void* volatile where;
static volatile int why, signals;
static volatile int refuse = 1;

static void* serve(void* unused) {
  (void)unused;
  for (;;) {
    zx_port_packet_t packet;
    OK(zx_port_wait(port, zx_deadline_after(ZX_SEC(60)), &packet));
    const uint64_t offset = packet.page_request.offset, length = packet.page_request.length;
    if (packet.page_request.command != ZX_PAGER_VMO_READ) {
      return NULL;
    }
    if (refuse) {
      OK(zx_pager_op_range(pager, ZX_PAGER_OP_FAIL, vmo, offset, length, (uint64_t)(int64_t)ZX_ERR_IO));
    } else {
      zx_handle_t aux = new_vmo(length, 0);
      OK(zx_vmo_write(aux, "here", 0, 4));
      OK(zx_pager_supply_pages(pager, vmo, offset, length, aux, 0));
      OK(zx_handle_close(aux));
    }
  }
}

static void jump(int signal, siginfo_t* info, void* context) {
  (void)context;
  CHECK_EQ(signal, SIGBUS);
  where = info->si_addr;
  why = info->si_errno;
  signals++;
  siglongjmp(back, 1);
}

// Refuses no more: the access that it returns to works.
static void relent(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)context;
  where = info->si_addr;
  signals++;
  refuse = 0;
}

static void handle_with(void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  CHECK(sigaction(SIGBUS, &action, NULL) == 0);
}

static void start(void) {
  OK(zx_pager_create(0, &pager));
  OK(zx_port_create(0, &port));
  zx_status_t status = zx_pager_create_vmo(pager, 0, port, 1, PAGES * PAGE, &vmo);
  if (status == ZX_ERR_NOT_SUPPORTED) {
    exit(0);
  }
  OK(status);
  at = map_root(vmo, READ_WRITE, PAGES * PAGE);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, serve, NULL) == 0);
}

// The handler was there before the library, so that the library calls it.
static int handled(uint32_t delivery) {
  handle_with(jump);
  OK(zxvm_set_fault_delivery(delivery));
  start();
  for (int n = 1; n <= 3; n++) {
    if (sigsetjmp(back, 1) == 0) {
      (void)at[PAGE + 5];
      CHECK(!"a refused load goes on");
    }
    CHECK_EQ(signals, n);
    CHECK((uintptr_t)where / PAGE == (uintptr_t)(at + PAGE) / PAGE);
    CHECK_EQ(why, ZX_ERR_IO);
  }
  uint8_t byte = 9;
  EXPECT(ZX_ERR_IO, zxvm_try_copy(&byte, (const void*)(at + 2 * PAGE), 1));
  EXPECT(ZX_ERR_IO, zxvm_try_copy((void*)(at + 2 * PAGE), &byte, 1));
  EXPECT(ZX_ERR_NOT_FOUND, zxvm_try_copy(&byte, (const void*)8, 1));
  EXPECT(ZX_ERR_NOT_FOUND, zxvm_try_copy((void*)8, &byte, 1));
  EXPECT(ZX_ERR_ACCESS_DENIED, zxvm_try_copy((void*)(uintptr_t)&handled, &byte, 1));
  CHECK_EQ(signals, 3);
  refuse = 0;
  OK(zxvm_try_copy(&byte, (const void*)(at + PAGE), 1));
  CHECK_EQ(byte, 'h');
  CHECK_EQ(at[PAGE + 1], 'e');
  return 0;
}

static int returned(uint32_t delivery) {
  handle_with(relent);
  OK(zxvm_set_fault_delivery(delivery));
  start();
  CHECK_EQ(at[3 * PAGE + 3], 'e');
  CHECK_EQ(signals, 1);
  CHECK((uintptr_t)where / PAGE == (uintptr_t)(at + 3 * PAGE) / PAGE);
  return 0;
}

static int died(uint32_t delivery) {
  OK(zxvm_set_fault_delivery(delivery));
  start();
  (void)at[0];
  return 1;
}

// Each in a process of its own, which has not used the library before.
static int in_child(int (*act)(uint32_t), uint32_t delivery) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    _exit(act(delivery));
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

int main(void) {
  const uint32_t deliveries[] = {ZXVM_FAULTS_THREAD, ZXVM_FAULTS_INLINE};
  for (size_t n = 0; n < COUNT(deliveries); n++) {
    CHECK_EQ(in_child(handled, deliveries[n]), 0);
    CHECK_EQ(in_child(returned, deliveries[n]), 0);
    int status = in_child(died, deliveries[n]);
    CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS));
  }
  return 0;
}
