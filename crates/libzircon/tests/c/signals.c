// Signals that are not about a pointer of ours go where they went before, sent ones too.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t seen;

static void on_signal(int number) {
  seen = number;
}

// Makes sure that the library's handler is in, and works.
static void use_library(void) {
  zx_handle_t vmo = new_vmo(PAGE, 0);
  EXPECT(ZX_ERR_INVALID_ARGS, zx_vmo_get_size(vmo, (uint64_t*)8));
  OK(zx_handle_close(vmo));
}

// How a child ends that had `handler` for `number` before it used the library, and is then sent the signal.
static int end_of_child(void (*handler)(int), int number) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    signal(number, handler);
    use_library();
    raise(number);
    if (handler != SIG_DFL && handler != SIG_IGN && seen != number) _exit(2);
    if (handler != SIG_DFL) use_library();
    _exit(0);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  return status;
}

int main(void) {
  const int numbers[] = {SIGSEGV, SIGBUS};
  for (size_t i = 0; i < COUNT(numbers); i++) {
    int status = end_of_child(SIG_DFL, numbers[i]);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
    CHECK_EQ(end_of_child(SIG_IGN, numbers[i]), 0);
    CHECK_EQ(end_of_child(on_signal, numbers[i]), 0);
  }
  return 0;
}
