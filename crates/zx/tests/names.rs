//! Names: what fits, and which objects have one.

use zx::{Name, Rights, Status, Vmo};
use zxvm as zx;

const LONGEST: &str = "1234567890123456789012345678901";

#[test]
fn what_fits() {
    assert_eq!(Name::new(LONGEST).unwrap(), LONGEST);
    assert_eq!(Name::new("12345678901234567890123456789012"), Err(Status::INVALID_ARGS));
    assert_eq!(Name::new("a\0b"), Err(Status::INVALID_ARGS));
    assert_eq!(Name::new("ab\0"), Err(Status::INVALID_ARGS));
    assert_eq!(Name::from_bytes(&[0xff; 31]).unwrap().as_bytes(), [0xff; 31]);
    assert_eq!(Name::from_bytes(&[1; 32]), Err(Status::INVALID_ARGS));
    assert_eq!(Name::new("").unwrap(), Name::default());
}

#[test]
fn what_is_cut_to_fit() {
    const CUT: Name = Name::new_lossy("1234567890123456789012345678901234567890");
    assert_eq!(CUT, LONGEST);
    assert_eq!(Name::new_lossy("a\0b\0"), "ab");
    // Of the first 31 bytes those that are not NUL: what comes later does not move up.
    assert_eq!(Name::from_bytes_lossy(&[&[0; 30][..], b"abc"].concat()), "a");
}

#[test]
fn how_a_name_shows() {
    const NAME: Name = Name::new_lossy("heap");
    assert_eq!((NAME.len(), NAME.is_empty(), Name::default().is_empty()), (4, false, true));
    assert_eq!((NAME.to_string(), format!("{NAME:?}")), ("heap".into(), "\"heap\"".into()));
    assert_eq!(NAME, *"heap");
    assert_eq!(*"heap", NAME);
    assert_eq!("heap", NAME);
    assert_ne!(NAME, "hea");
    assert_eq!(NAME.as_bstr(), "heap");
    assert_eq!(NAME.as_raw()[..6], *b"heap\0\0");
    assert_eq!(size_of::<Name>(), 32);
    assert_eq!(format!("{:?}", Name::from_bytes(b"\xff").unwrap()), r#""\xff""#);
}

#[test]
fn a_vmo_keeps_its_name() {
    let vmo = Vmo::create(0).unwrap();
    assert_eq!(vmo.get_name(), Ok(Name::default()));
    let name = Name::new(LONGEST).unwrap();
    vmo.set_name(&name).unwrap();
    assert_eq!(vmo.get_name(), Ok(name));
    assert_eq!(vmo.duplicate_handle(Rights::SAME_RIGHTS).unwrap().get_name(), Ok(name));
    assert_eq!(vmo.info().unwrap().name, name);
    vmo.set_name(&Name::new_lossy("x")).unwrap();
    assert_eq!(vmo.get_name().unwrap().as_raw()[..3], *b"x\0\0");
    vmo.set_name(&Name::default()).unwrap();
    assert!(vmo.get_name().unwrap().is_empty());
}

#[test]
fn names_need_their_rights() {
    let vmo = Vmo::create(0).unwrap();
    let reader = vmo.duplicate_handle(Rights::GET_PROPERTY).unwrap();
    let writer = vmo.duplicate_handle(Rights::SET_PROPERTY).unwrap();
    let name = Name::new_lossy("new");
    assert_eq!(reader.set_name(&name), Err(Status::ACCESS_DENIED));
    writer.set_name(&name).unwrap();
    assert_eq!(writer.get_name(), Err(Status::ACCESS_DENIED));
    assert_eq!(reader.get_name(), Ok(name));
}

#[test]
fn events_and_regions_have_no_name() {
    // Their handles lack the rights, which are looked at first.
    assert_eq!(zx::Event::create().get_name(), Err(Status::ACCESS_DENIED));
    assert_eq!(zx::runtime::vmar_root_self().set_name(&Name::default()), Err(Status::ACCESS_DENIED));
}

#[test]
fn the_process_has_the_name_of_its_program() {
    let name = zx::runtime::process_self().get_name().unwrap();
    assert!(name.to_string().starts_with("names"), "{name:?}");
}
