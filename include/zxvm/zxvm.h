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

__END_CDECLS

#endif // ZXVM_ZXVM_H_
