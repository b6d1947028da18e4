// What this library can do beyond Zircon's calls. Programs that use it run on this library only.
//
// As with Zircon's calls: all may be called from any thread, leave errno alone, and have done nothing unless they return
// ZX_OK. A result that nobody wants is NULL; one that cannot be written is ZX_ERR_INVALID_ARGS, before anything is done.
// One that can is 0 after an error.

#ifndef ZXVM_ZXVM_H_
#define ZXVM_ZXVM_H_

#include <zircon/analyzer.h>
#include <zircon/types.h>

__BEGIN_CDECLS

// Which thread deals with an access to mapped memory that has something to wait for, such as the first store to a page after
// a snapshot: one of the library, or the one that makes the access, in a handler for SIGBUS. The second is sooner; CAVEATS.md
// has what it costs.
#define ZXVM_FAULTS_THREAD ((uint32_t)0u)
#define ZXVM_FAULTS_INLINE ((uint32_t)1u)

// Says which, before anything else is called that needs the library's engine. Without it the environment variable
// ZXVM_FAULTS decides, "thread" or "inline"; without that it is ZXVM_FAULTS_THREAD. ZX_ERR_INVALID_ARGS: neither of the two.
// ZX_ERR_BAD_STATE: it is too late. Where it cannot be had, what needs it says ZX_ERR_NOT_SUPPORTED: snapshots of what is
// mapped for writing, and VMOs of pagers.
extern zx_status_t zxvm_set_fault_delivery(uint32_t delivery);

// Copies memory that may not be there: an error instead of a signal. `to` and `from` may be memory of a pager; then the call
// blocks while that provides. What the pager refuses an access with is returned; ZX_ERR_BAD_STATE: it does not provide any
// more. ZX_ERR_NOT_FOUND: nothing is there. ZX_ERR_ACCESS_DENIED: it does not allow that. ZX_ERR_OUT_OF_RANGE: it is past
// the end of a VMO. What comes before the place of an error has been copied. The ranges should not overlap.
extern zx_status_t zxvm_try_copy(void* to, const void* from, size_t len);

// Discards the content of a discardable VMO, as the system may when memory is short. Needs ZX_RIGHT_WRITE.
// `discarded` gets 1 if the content is gone by this call, or 0 if it may not go: while it is locked, before it has been
// locked once, and when it is gone already. ZX_ERR_NOT_SUPPORTED: the VMO is not discardable.
extern zx_status_t zxvm_vmo_discard(ZX_HANDLE_USE zx_handle_t vmo, uint32_t* discarded);

// Frees the committed pages that hold nothing but zeros. Nobody can see the difference but in ZX_INFO_VMO. Needs
// ZX_RIGHT_WRITE. `bytes` gets how much was freed. ZX_ERR_BAD_STATE: the VMO is not cached.
extern zx_status_t zxvm_vmo_free_zero_pages(ZX_HANDLE_USE zx_handle_t vmo, uint64_t* bytes);

// From now on looks through all VMOs for such pages every so many nanoseconds, from a thread of the library, and frees
// them; 0 ends that. A VMO in which any were found writes by calls more slowly from then on. ZX_ERR_NO_RESOURCES: no
// thread can be had.
extern zx_status_t zxvm_free_zero_pages_every(uint64_t nanoseconds);

// Limits how much of what pagers provide is in memory, in bytes, rounded down to pages. Pages that were not used for long go first,
// those that are not needed (ZX_VMO_OP_DONT_NEED) before all others, those that always are (ZX_VMO_OP_ALWAYS_NEED) last, and those
// that are dirty never: an access that needs room where all is dirty waits until something was saved. Without it the environment
// variable ZXVM_BUDGET decides, such as 64M; without that it is ZXVM_BUDGET_NONE. ZX_ERR_INVALID_ARGS: less than 256 KiB.
#define ZXVM_BUDGET_NONE UINT64_MAX
extern zx_status_t zxvm_set_memory_budget(uint64_t bytes);

// How much of what pagers provide is in memory, and what has become of it. Bytes, but for the last two.
typedef struct zxvm_memory_stats {
  // How much there may be; ZXVM_BUDGET_NONE: any amount.
  uint64_t budget_bytes;
  // How much is there.
  uint64_t resident_bytes;
  // Of that: has to be saved before it may go; was not needed again since it came; was; was said not to be needed, and not
  // used since; was said to be always needed.
  uint64_t dirty_bytes;
  uint64_t newcomer_bytes;
  uint64_t proven_bytes;
  uint64_t need_not_bytes;
  uint64_t need_bytes;
  // Brought in by pagers so far; taken out so far; brought in that had been taken out not long before.
  uint64_t supplied_bytes;
  uint64_t evicted_bytes;
  uint64_t refaulted_bytes;
  // How many accesses came to the library; how often one had to wait because nothing could be taken.
  uint64_t faults;
  uint64_t starved;
} zxvm_memory_stats_t;
extern zx_status_t zxvm_get_memory_stats(zxvm_memory_stats_t* stats);

// Takes about so many bytes of clean pages of pagers' VMOs out of memory at once, whichever turn it is. `taken` gets how many.
extern zx_status_t zxvm_reclaim(uint64_t bytes, uint64_t* taken);

// A handle to the event that has ZX_EVENT_SIGNALED while pagers should save what is dirty: half of the budget is, or somebody
// waits for room, or memory is short. It can be waited for, and not be signalled.
extern zx_status_t zxvm_writeback_event(zx_handle_t* out);

// Fills `length` bytes at `buffer`, whole pages, with what is at `offset` of the VMO, and returns ZX_OK; or returns what those who
// wait for these pages get: an access a signal, a call this status. `context` is what the VMO was made with. Called by several
// threads at once. It must not touch the VMO, nor wait for a thread that does, nor leave in another way than by returning.
typedef zx_status_t (*zxvm_read_t)(void* context, uint64_t offset, void* buffer, size_t length);

// Makes a VMO of this pager whose pages `read` brings in the thread that needs them, without a port and without another thread. With
// ZXVM_FAULTS_INLINE that is the thread that makes the access, in a handler for SIGBUS, which must not hold what `read` needs; else
// one of the library, one fault at a time. `options` are those of zx_pager_create_vmo but ZX_VMO_TRAP_DIRTY, and so are the errors.
extern zx_status_t zxvm_pager_create_vmo_in_place(ZX_HANDLE_USE zx_handle_t pager, uint32_t options, uint64_t size,
                                                  zxvm_read_t read, void* context, ZX_HANDLE_ACQUIRE zx_handle_t* out);

// As zx_pager_supply_pages, but from bytes: it saves pages in another VMO. Offset and length are whole pages.
extern zx_status_t zxvm_pager_supply_bytes(ZX_HANDLE_USE zx_handle_t pager, ZX_HANDLE_USE zx_handle_t pager_vmo,
                                           uint64_t offset, const void* buffer, size_t length);

// From now on this process can be watched by the socket at `path` (`zxvm top --socket`), by its own user and by root; nothing can be
// changed by it. The file is made, for the user alone, in place of one whose owner has died, and is removed when the process exits.
// A socket that was there for this process goes first; NULL: that is all. Without this the environment variable ZXVM_TOP decides: 1
// for a socket in $XDG_RUNTIME_DIR or /tmp, or a path. Starts a thread, for which the C library calls malloc: an allocator that is
// built on the library must not call this while it holds a lock. ZX_ERR_INVALID_ARGS: no path that a socket may have.
// ZX_ERR_ALREADY_EXISTS: something is there that is not a socket whose owner has died. ZX_ERR_ACCESS_DENIED, ZX_ERR_NOT_FOUND: of
// the folder. ZX_ERR_NO_RESOURCES: no thread or descriptor can be had. ZX_ERR_IO: anything else. Nothing is served then.
extern zx_status_t zxvm_serve_top(const char* path);

__END_CDECLS

#endif // ZXVM_ZXVM_H_
