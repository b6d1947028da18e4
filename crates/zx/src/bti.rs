//! [`Bti`]: how a device reaches memory.

object_type! {
    /// A device's way to memory. No call here makes one, so those that ask for one refuse whatever they are given.
    pub struct Bti;
}
