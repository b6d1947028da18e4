// Being watched: the socket is there when asked for, tells what is so, and goes with whom it belongs to.
//
// Run with an argument it is a process that ZXVM_TOP was set for, which has made a VMO of three pages.

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "check.h"

static char answer[1 << 20];

static int connection(const char* path) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  CHECK(fd >= 0 && strlen(path) < sizeof address.sun_path);
  strcpy(address.sun_path, path);
  if (connect(fd, (struct sockaddr*)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// What is told to one who asks so. The whole of it, to the end of the connection.
static const char* told(const char* path, const char* question) {
  int fd = connection(path);
  CHECK(fd >= 0);
  CHECK(send(fd, question, strlen(question), MSG_NOSIGNAL) == (ssize_t)strlen(question));
  size_t have = 0;
  ssize_t more;
  while ((more = read(fd, answer + have, sizeof answer - 1 - have)) > 0) have += (size_t)more;
  close(fd);
  answer[have] = 0;
  return answer;
}

static bool has(const char* part) { return strstr(answer, part) != NULL; }

static bool is_there(const char* path) { return access(path, F_OK) == 0; }

// A path beside this program.
static void name(char* path, const char* self, const char* end) { CHECK(snprintf(path, 256, "%s%s", self, end) < 100); }

static void a_socket_is_served_and_ended(const char* path) {
  errno = 77;
  OK(zxvm_serve_top(path));
  CHECK_EQ(errno, 77);
  struct stat file;
  CHECK(lstat(path, &file) == 0);
  CHECK_EQ(file.st_mode, S_IFSOCK | 0600);

  zx_handle_t vmo = new_vmo(3 * PAGE, 0);
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "a \"name\"\x1b", 9));
  OK(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, 2 * PAGE, NULL, 0));
  told(path, "zxvm-top 1\n");
  CHECK(has("{\"zxvm_top\":1,") && answer[strlen(answer) - 1] == '\n');
  CHECK(has("\"name\":\"a \\\"name\\\"\\u001b\",\"kind\":\"plain\",\"size\":12288,\"committed\":8192,"));
  told(path, "something else\n");
  CHECK(has("\"error\""));
  CHECK(strlen(told(path, "zxvm-top 2\n")) < 200 && has("\"error\""));
  OK(zx_handle_close(vmo));

  // Many who say nothing, or too much, or do not listen: nobody is in anybody's way for long.
  int idle[6];
  for (size_t i = 0; i < COUNT(idle); i++) idle[i] = connection(path);
  if (idle[0] >= 0) CHECK(send(idle[0], answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT) != 0);
  told(path, "zxvm-top 1\n");
  CHECK(has("\"vmos\":["));
  for (size_t i = 0; i < COUNT(idle); i++) close(idle[i]);

  // Who asks and does not listen keeps nobody from an answer, and is not waited for.
  static zx_handle_t many[3000];
  for (size_t i = 0; i < COUNT(many); i++) many[i] = new_vmo(PAGE, 0);
  int deaf = connection(path);
  CHECK(deaf >= 0 && send(deaf, "zxvm-top 1\n", 11, MSG_NOSIGNAL) == 11);
  told(path, "zxvm-top 1\n");
  size_t whole = strlen(answer);
  CHECK(whole > 400000 && answer[whole - 1] == '\n');
  struct pollfd gone = {.fd = deaf};
  CHECK(poll(&gone, 1, -1) == 1 && (gone.revents & POLLHUP) != 0);
  size_t had = 0;
  ssize_t more;
  while ((more = read(deaf, answer, sizeof answer)) > 0) had += (size_t)more;
  CHECK(had > 0 && had < whole);
  close(deaf);
  for (size_t i = 0; i < COUNT(many); i++) OK(zx_handle_close(many[i]));

  // Another place: the first one goes.
  char other[256];
  name(other, path, "2");
  OK(zxvm_serve_top(other));
  CHECK(!is_there(path) && is_there(other));
  OK(zxvm_serve_top(NULL));
  CHECK(!is_there(other) && connection(other) < 0);
  OK(zxvm_serve_top(NULL));
}

static void what_cannot_be_is_refused(const char* path) {
  char long_path[300];
  memset(long_path, 'x', sizeof long_path - 1);
  long_path[0] = '/';
  long_path[sizeof long_path - 1] = 0;
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_serve_top(long_path));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_serve_top(""));
  EXPECT(ZX_ERR_INVALID_ARGS, zxvm_serve_top((const char*)PAGE));
  EXPECT(ZX_ERR_NOT_FOUND, zxvm_serve_top("/nowhere/at/all"));
  // A file that is no socket stays.
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  CHECK(fd >= 0 && close(fd) == 0);
  EXPECT(ZX_ERR_ALREADY_EXISTS, zxvm_serve_top(path));
  CHECK(is_there(path) && unlink(path) == 0);
}

// Starts this program once more, watched at `path`; comes back when it has made its VMO.
static pid_t watched(const char* self, const char* path, int* hold) {
  int ready[2], held[2];
  CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(held, O_CLOEXEC) == 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ready[1], 1);
    dup2(held[0], 0);
    setenv("ZXVM_TOP", path, 1);
    execl(self, self, "watched", NULL);
    _exit(9);
  }
  close(ready[1]);
  close(held[0]);
  char byte;
  CHECK(child > 0 && read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  *hold = held[1];
  return child;
}

static int be_watched(void) {
  // Nothing was made while the library was loaded: that would be too late to say this.
  OK(zxvm_set_fault_delivery(ZXVM_FAULTS_THREAD));
  zx_handle_t vmo = new_vmo(3 * PAGE, 0);
  OK(zx_object_set_property(vmo, ZX_PROP_NAME, "watched", 8));
  // A child of it has neither the socket nor the right to remove it.
  pid_t child = fork();
  if (child == 0) exit(0);
  CHECK(waitpid(child, NULL, 0) == child);
  while (!is_there(getenv("ZXVM_TOP"))) usleep(1000);
  child = fork();
  if (child == 0) {
    dup2(2, 0); // lets go of what the parent is held by
    close(1);
    CHECK(is_there(getenv("ZXVM_TOP")));
    for (int fd = 3; fd < 64; fd++) {
      int is_listening = 0;
      socklen_t len = sizeof is_listening;
      if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) == 0) CHECK(!is_listening);
    }
    exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(is_there(getenv("ZXVM_TOP")));
  if (write(1, "!", 1) != 1) _exit(8);
  char byte;
  return read(0, &byte, 1) == 0 ? 0 : 7;
}

int main(int count, char** arguments) {
  if (count > 1) return be_watched();
  char path[256];
  name(path, arguments[0], ".socket");
  a_socket_is_served_and_ended(path);
  what_cannot_be_is_refused(path);

  int hold, status;
  pid_t child = watched(arguments[0], path, &hold);
  told(path, "zxvm-top 1\n");
  CHECK(has("\"name\":\"watched\",\"kind\":\"plain\",\"size\":12288,\"committed\":0,"));
  // It is somebody's.
  EXPECT(ZX_ERR_ALREADY_EXISTS, zxvm_serve_top(path));
  close(hold);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(!is_there(path));

  child = watched(arguments[0], path, &hold);
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
  close(hold);
  CHECK(is_there(path) && connection(path) < 0);
  // Whose owner has died is replaced.
  OK(zxvm_serve_top(path));
  told(path, "zxvm-top 1\n");
  CHECK(has("\"vmos\":["));
  OK(zxvm_serve_top(NULL));
  CHECK(!is_there(path));
  return 0;
}
