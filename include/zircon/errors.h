// Status codes: ZX_OK, or a negative number that tells what went wrong.

#ifndef ZIRCON_ERRORS_H_
#define ZIRCON_ERRORS_H_

#define ZX_OK (0) // it worked

// The system itself.
#define ZX_ERR_INTERNAL (-1)            // something the system did not foresee went wrong
#define ZX_ERR_NOT_SUPPORTED (-2)       // this object, option or build does not do that
#define ZX_ERR_NO_RESOURCES (-3)        // a resource other than memory has run out
#define ZX_ERR_NO_MEMORY (-4)           // there is not enough memory
#define ZX_ERR_INTERNAL_INTR_RETRY (-6) // a wait was interrupted and is to be tried again

// The call: arguments, handles.
#define ZX_ERR_INVALID_ARGS (-10)     // an argument makes no sense
#define ZX_ERR_BAD_HANDLE (-11)       // no such handle
#define ZX_ERR_WRONG_TYPE (-12)       // the handle is to an object of another type
#define ZX_ERR_BAD_SYSCALL (-13)      // no such system call
#define ZX_ERR_OUT_OF_RANGE (-14)     // a number is outside what this object has
#define ZX_ERR_BUFFER_TOO_SMALL (-15) // the caller's buffer is too small

// The object: its state.
#define ZX_ERR_BAD_STATE (-20)      // the object is not in a state that allows this
#define ZX_ERR_TIMED_OUT (-21)      // the deadline came first
#define ZX_ERR_SHOULD_WAIT (-22)    // it cannot be done now; a wait will tell when it can
#define ZX_ERR_CANCELED (-23)       // it was called off, by a closed handle for one
#define ZX_ERR_PEER_CLOSED (-24)    // the other end is gone
#define ZX_ERR_NOT_FOUND (-25)      // what was looked for is not there
#define ZX_ERR_ALREADY_EXISTS (-26) // it is there already
#define ZX_ERR_ALREADY_BOUND (-27)  // it belongs to another already
#define ZX_ERR_UNAVAILABLE (-28)    // whatever does this is not there at present

// Permission.
#define ZX_ERR_ACCESS_DENIED (-30) // the handle lacks a right, or the caller may not

// Devices.
#define ZX_ERR_IO (-40)                 // input or output failed
#define ZX_ERR_IO_REFUSED (-41)         // the device refused
#define ZX_ERR_IO_DATA_INTEGRITY (-42)  // data was read that fails its check
#define ZX_ERR_IO_DATA_LOSS (-43)       // data is lost
#define ZX_ERR_IO_NOT_PRESENT (-44)     // the device is not there any more
#define ZX_ERR_IO_OVERRUN (-45)         // more came in than could be taken
#define ZX_ERR_IO_MISSED_DEADLINE (-46) // the device did not answer in time
#define ZX_ERR_IO_INVALID (-47)         // the device cannot do this

// Files.
#define ZX_ERR_BAD_PATH (-50)  // the path is malformed
#define ZX_ERR_NOT_DIR (-51)   // a directory was expected
#define ZX_ERR_NOT_FILE (-52)  // a regular file was expected
#define ZX_ERR_FILE_BIG (-53)  // the file would be too large
#define ZX_ERR_NO_SPACE (-54)  // the device is full
#define ZX_ERR_NOT_EMPTY (-55) // the directory still holds something

// Answers of callbacks. No system call returns them.
#define ZX_ERR_STOP (-60)  // a callback says: no more
#define ZX_ERR_NEXT (-61)  // a callback says: go on
#define ZX_ERR_ASYNC (-62) // the answer will come later

// Networks.
#define ZX_ERR_PROTOCOL_NOT_SUPPORTED (-70) // the protocol is not known here
#define ZX_ERR_ADDRESS_UNREACHABLE (-71)    // no way leads to that address
#define ZX_ERR_ADDRESS_IN_USE (-72)         // the address is taken
#define ZX_ERR_NOT_CONNECTED (-73)          // the socket is not connected
#define ZX_ERR_CONNECTION_REFUSED (-74)     // the other side turned the connection down
#define ZX_ERR_CONNECTION_RESET (-75)       // the other side broke the connection off
#define ZX_ERR_CONNECTION_ABORTED (-76)     // the connection was given up

// Inside kernels only.
#define ZX_ERR_INTERNAL_INTR_KILLED (-502)

#endif // ZIRCON_ERRORS_H_
