//! Sets of bits: one macro, so that all of them have the same derives and the layout of their number.

/// Declares a `bitflags` type over an integer. Unknown bits can be kept (`from_bits_retain`).
macro_rules! flags {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $repr:ty { $( $(#[$($flag_meta:tt)*])* const $flag:ident = $value:expr; )* }
    ) => {
        $(#[$meta])*
        #[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
        #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
        #[repr(transparent)]
        pub struct $name($repr);

        bitflags::bitflags! {
            impl $name: $repr {
                $( $(#[$($flag_meta)*])* const $flag = $value; )*
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                if self.is_empty() { f.write_str("0x0")? } else { bitflags::parser::to_writer(self, &mut *f)? }
                f.write_str(")")
            }
        }
    };
}
