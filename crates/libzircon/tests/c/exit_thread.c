// zx_vmar_unmap_handle_close_thread_exit: threads that take their own stack with them.

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "check.h"

#define STACK_LEN (256 * 1024)
// The C library keeps its record of a thread at the top of its stack, and reads it after the thread's end.
#define KEPT_LEN (64 * 1024)

struct leaver {
  uint8_t* stack;
  size_t gone; // bytes at the bottom that are unmapped
  zx_handle_t close;
  pthread_t thread;
};

static void check_refused(zx_status_t want, zx_handle_t vmar, zx_vaddr_t at, size_t len, zx_handle_t close) {
  sigset_t before, after;
  memset(&before, 0, sizeof before);
  memset(&after, 0, sizeof after);
  pthread_sigmask(SIG_BLOCK, NULL, &before);
  EXPECT(want, zx_vmar_unmap_handle_close_thread_exit(vmar, at, len, close));
  pthread_sigmask(SIG_BLOCK, NULL, &after);
  CHECK(memcmp(&before, &after, sizeof before) == 0);
  OK(zx_handle_check_valid(close));
}

// On an error nothing has happened.
static void refused(void) {
  zx_vaddr_t base = 0;
  zx_handle_t vmar = new_vmar(4 * PAGE, &base), event = new_event(), vmo = new_vmo(PAGE, 0);
  uint8_t* at = map_at(vmar, READ_WRITE, 0, vmo, 0, PAGE);
  sigset_t some;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &some, NULL);
  for (int i = 0; i < 10; i++) {
    check_refused(ZX_ERR_BAD_HANDLE, NOBODY, base, PAGE, event);
    check_refused(ZX_ERR_WRONG_TYPE, event, base, PAGE, event);
    check_refused(ZX_ERR_INVALID_ARGS, vmar, base + 1, PAGE, event);
    check_refused(ZX_ERR_INVALID_ARGS, vmar, base, 0, event);
    check_refused(ZX_ERR_INVALID_ARGS, vmar, base, 5 * PAGE, event);
  }
  CAN_WRITE(at);
  OK(zx_vmar_destroy(vmar));
  check_refused(ZX_ERR_BAD_STATE, vmar, base, PAGE, event);
  const zx_handle_t all[] = {vmar, event, vmo};
  OK(zx_handle_close_many(all, COUNT(all)));
}

__attribute__((noinline, noreturn)) static void leave(struct leaver* leaver) {
  uint8_t here = 0;
  CHECK(&here > leaver->stack && &here < leaver->stack + leaver->gone);
  zx_status_t status = zx_vmar_unmap_handle_close_thread_exit(zx_vmar_root_self(), (zx_vaddr_t)leaver->stack,
                                                              leaver->gone, leaver->close);
  check_failed(__FILE__, __LINE__, "back with %s", zx_status_get_string(status));
}

// Goes down into the part that is to be unmapped.
static void* leave_from_below(void* leaver) {
  volatile uint8_t frame[KEPT_LEN + 32 * 1024];
  frame[0] = 1;
  leave(leaver);
  return (void*)(uintptr_t)frame[0];
}

static void make_stack(struct leaver* leaver, size_t gone) {
  zx_handle_t vmo = new_vmo(STACK_LEN, 0);
  *leaver = (struct leaver){.stack = map_root(vmo, READ_WRITE, STACK_LEN), .gone = gone, .close = new_event()};
  OK(zx_handle_close(vmo));
}

static void start(struct leaver* leaver) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstack(&attributes, leaver->stack, STACK_LEN) == 0);
  CHECK(pthread_create(&leaver->thread, &attributes, leave_from_below, leaver) == 0);
  pthread_attr_destroy(&attributes);
}

static void check_gone(const struct leaver* leaver) {
  CANNOT_READ(leaver->stack);
  CANNOT_READ(leaver->stack + leaver->gone - 1);
  EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(leaver->close));
  // The place is free.
  zx_handle_t vmar = ZX_HANDLE_INVALID;
  zx_vaddr_t at = 0;
  size_t offset = (zx_vaddr_t)leaver->stack - vmar_info(zx_vmar_root_self()).base;
  OK(zx_vmar_allocate(zx_vmar_root_self(), ZX_VM_SPECIFIC, offset, leaver->gone, &vmar, &at));
  OK(zx_vmar_destroy(vmar));
  OK(zx_handle_close(vmar));
}

static void joined(void) {
  struct leaver leaver;
  make_stack(&leaver, STACK_LEN - KEPT_LEN);
  start(&leaver);
  CHECK(pthread_join(leaver.thread, NULL) == 0);
  check_gone(&leaver);
  CAN_WRITE(leaver.stack + leaver.gone);
  unmap_root(leaver.stack + leaver.gone, KEPT_LEN);
}

static void on_alarm(int signal) { (void)signal; }

// Many at once, with signals in between: they take turns on what the library does it with.
static void crowd(void) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  static struct leaver leavers[32];
  for (int round = 0; round < 20; round++) {
    for (size_t i = 0; i < COUNT(leavers); i++) make_stack(&leavers[i], STACK_LEN - KEPT_LEN);
    for (size_t i = 0; i < COUNT(leavers); i++) start(&leavers[i]);
    for (size_t i = 0; i < COUNT(leavers); i++) CHECK(pthread_join(leavers[i].thread, NULL) == 0);
    for (size_t i = 0; i < COUNT(leavers); i++) {
      EXPECT(ZX_ERR_BAD_HANDLE, zx_handle_check_valid(leavers[i].close));
      unmap_root(leavers[i].stack, STACK_LEN);
    }
  }
  setitimer(ITIMER_REAL, &never, NULL);
}

static int leave_at_once(void* leaver) { leave(leaver); }

// A thread of the kernel alone, which can take the whole of its stack along.
static void whole_stack(void) {
  static struct leaver leaver;
  static atomic_uint alive;
  const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                    CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;
  for (int i = 0; i < 10; i++) {
    make_stack(&leaver, STACK_LEN);
    CHECK(clone(leave_at_once, leaver.stack + STACK_LEN, flags, &leaver, &alive, NULL, &alive) > 0);
    for (unsigned id; (id = atomic_load(&alive)) != 0;) syscall(SYS_futex, &alive, FUTEX_WAIT, id, NULL, NULL, 0);
    check_gone(&leaver);
  }
}

// A handle that cannot be closed is the end of the process: nobody is left to be told.
static int trap(void) {
  static struct leaver leaver;
  make_stack(&leaver, STACK_LEN - KEPT_LEN);
  leaver.close = NOBODY;
  start(&leaver);
  pthread_join(leaver.thread, NULL);
  return 0;
}

int main(int count, char** arguments) {
  (void)arguments;
  if (count > 1) return trap();
  refused();
  joined();
  crowd();
  whole_stack();
  refused();
  int status = run_self("trap");
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  return 0;
}
