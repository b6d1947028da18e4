//! [`Resource`]: permission for what is scarce.

object_type! {
    /// Permission for something scarce. No call here makes one; where a call asks for it, the invalid handle
    /// (`Resource::from(NullableHandle::invalid())`) means that the process's own policy decides.
    pub struct Resource;
}
