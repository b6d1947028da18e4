//! The three ways an ABI item is declared: once, with what C knows about it beside it.
//!
//! Each macro makes the items, and a table of them for [`crate::catalogue`]. Each is used once in a file.

/// Declares integer types by their C names.
macro_rules! scalars {
    ($( $(#[$meta:meta])* pub type $name:ident = $repr:ident; )*) => {
        $( $(#[$meta])* pub type $name = $repr; )*

        pub(crate) const SCALARS: &[crate::catalogue::Scalar] = &[ $( crate::catalogue::Scalar {
            name: stringify!($name),
            size: size_of::<$name>(),
            signed: $name::MIN != 0,
        } ),* ];
    };
}

/// Declares integer constants by their C names.
macro_rules! constants {
    ($( $(#[$meta:meta])* pub const $name:ident: $repr:ident = $value:expr; )*) => {
        $( $(#[$meta])* pub const $name: $repr = $value; )*

        pub(crate) const CONSTANTS: &[crate::catalogue::Constant] = &[ $( crate::catalogue::Constant {
            name: stringify!($name),
            repr: stringify!($repr),
            value: $name as i128,
        } ),* ];
    };
}

/// Declares records: `pub struct name: SIZE { OFFSET => field: type, }`, sizes and offsets in bytes. The compiler
/// checks both, and that nothing lies between the fields. `field as "name in C"` where Rust cannot use C's name.
macro_rules! records {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident: $size:literal {
            $( $(#[$field_meta:meta])* $offset:literal => $field:ident $(as $c_field:literal)?: $ty:ty, )*
        }
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
            #[repr(C)]
            pub struct $name {
                $( $(#[$field_meta])* pub $field: $ty, )*
            }

            impl Default for $name {
                /// All zeros.
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }

            const _: () = assert!(size_of::<$name>() == $size);
            $( const _: () = assert!(core::mem::offset_of!($name, $field) == $offset); )*
        )*

        pub(crate) const RECORDS: &[crate::catalogue::Record] = &[ $( crate::catalogue::Record {
            name: stringify!($name),
            size: size_of::<$name>(),
            fields: &[ $( crate::catalogue::Field {
                name: records!(@c_name $field $($c_field)?),
                offset: core::mem::offset_of!($name, $field),
                size: size_of::<$ty>(),
            } ),* ],
        } ),* ];
    };
    (@c_name $field:ident) => { stringify!($field) };
    (@c_name $field:ident $c_field:literal) => { $c_field };
}
