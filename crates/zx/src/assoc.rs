//! Numbers that mostly have names: an integer of its own type, with a constant for every known value.

/// Declares `struct Type(repr)` with constants. `Debug` says `Type(NAME)`, or `Type(number)` for other values.
macro_rules! assoc_values {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($repr:ty) { $( $(#[$const_meta:meta])* $const:ident = $value:path; )* }
    ) => {
        $(#[$meta])*
        #[derive(Copy, Clone, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
        #[derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
        #[repr(transparent)]
        pub struct $name($repr);

        impl $name {
            $( $(#[$const_meta])* pub const $const: Self = Self($value); )*

            /// The value with this number, known or not.
            pub const fn from_raw(raw: $repr) -> Self {
                Self(raw)
            }

            /// The number.
            pub const fn into_raw(self) -> $repr {
                self.0
            }

            /// The name of the constant with this value.
            const fn const_name(self) -> Option<&'static str> {
                match self {
                    $( Self::$const => Some(stringify!($const)), )*
                    _ => None,
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.const_name() {
                    Some(name) => write!(f, concat!(stringify!($name), "({})"), name),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }
    };
}
