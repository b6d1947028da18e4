//! Making children: which types of which parents, the order of checks, what the handle may do, and the family tree.

mod common;

use std::thread;

use common::family::{
    DISCARDABLE, LARGEST, PAGE, SNAPSHOTS, check_handle, child, content, count_up, empty, empty_resizable, no_handle,
    op, reference, snapshot, without, written, wrong_handle,
};
use common::{P, RW, Region};
use zx::{
    CachePolicy, Koid, MonotonicDuration, MonotonicInstant, Name, NullableHandle, Resource, Rights, Signals, Status,
    Vmo, VmoChildOptions as C, VmoInfoFlags, VmoOp, VmoOptions,
};
use zxvm as zx;

/// The error of a call that must fail.
fn refused(vmo: &Vmo, options: C, offset: u64, size: u64) -> Status {
    vmo.create_child(options, offset, size).expect_err("this child cannot be")
}

/// A VMO that may be made a child of, but for its caching.
fn uncached(options: VmoOptions) -> Vmo {
    let vmo = Vmo::create_with_opts(options, 2 * PAGE).unwrap();
    vmo.set_cache_policy(CachePolicy::UnCached).unwrap();
    vmo
}

/// Every type, with the range it wants of a parent of two pages.
const TYPES: [(C, u64); 5] = [
    (C::SNAPSHOT, 2 * PAGE),
    (C::SNAPSHOT_AT_LEAST_ON_WRITE, 2 * PAGE),
    (C::SNAPSHOT_MODIFIED, 2 * PAGE),
    (C::SLICE, 2 * PAGE),
    (C::REFERENCE, 0),
];

/// A bit without a meaning.
const UNKNOWN: C = C::from_bits_retain(1 << 1);

// ---- Which type of which parent ----

#[test]
fn types_and_parents() {
    let resizable = count_up(empty_resizable(2));
    let plain = written(2);
    let parents = [
        ("anonymous", written(2)),
        ("anonymous, resizable", count_up(empty_resizable(2))),
        ("snapshot", snapshot(&plain)),
        ("snapshot, resizable", child(&plain, C::SNAPSHOT | C::RESIZABLE, 0, 2)),
        ("snapshot of a resizable one", snapshot(&resizable)),
        ("reference", reference(&plain)),
        ("reference of a resizable one", reference(&resizable)),
        ("reference of a snapshot", reference(&snapshot(&plain))),
        ("slice", child(&plain, C::SLICE, 0, 2)),
        ("slice of a slice", child(&child(&plain, C::SLICE, 0, 2), C::SLICE, 0, 2)),
        ("slice of a snapshot", child(&snapshot(&plain), C::SLICE, 0, 2)),
    ];
    for (what, parent) in &parents {
        let is_slice = what.starts_with("slice");
        let is_resizable = parent.info().unwrap().flags.contains(VmoInfoFlags::RESIZABLE);
        for (kind, size) in TYPES {
            let may = if kind == C::SLICE { !is_resizable } else { !is_slice };
            for kind in [kind, kind | C::NO_WRITE] {
                match parent.create_child(kind, 0, size) {
                    Ok(made) => {
                        assert!(may, "{kind:?} of {what}");
                        assert_eq!(content(&made), [1, 2], "{kind:?} of {what}");
                        assert_eq!(made.get_size(), Ok(2 * PAGE), "{kind:?} of {what}");
                    }
                    Err(status) => assert_eq!((may, status), (false, Status::NOT_SUPPORTED), "{kind:?} of {what}"),
                }
            }
        }
    }
    assert!(parents[6].1.info().unwrap().flags.contains(VmoInfoFlags::RESIZABLE), "as its parent");
    // Of a discardable one there are none, locked or not.
    let discardable = Vmo::create_with_opts(DISCARDABLE, 2 * PAGE).unwrap();
    for _ in 0..2 {
        for (kind, size) in TYPES {
            assert_eq!(refused(&discardable, kind, 0, size), Status::NOT_SUPPORTED);
        }
        op(&discardable, VmoOp::TRY_LOCK, 0, 2).unwrap();
    }
}

// ---- The order of checks: each call below has the error named, and those that come later besides ----

#[test]
fn first_the_size_is_rounded() {
    for (kind, _) in TYPES {
        for vmo in [no_handle(), wrong_handle(), empty(1), Vmo::create_with_opts(DISCARDABLE, PAGE).unwrap()] {
            let options = kind | C::NO_WRITE | C::RESIZABLE | UNKNOWN;
            assert_eq!(refused(&vmo, options, 1, u64::MAX - PAGE + 2), Status::OUT_OF_RANGE);
            assert_eq!(refused(&vmo, kind, 1, u64::MAX), Status::OUT_OF_RANGE);
        }
    }
}

#[test]
fn second_no_write_is_not_for_what_can_be_resized() {
    for (kind, _) in TYPES {
        for vmo in [no_handle(), wrong_handle(), Vmo::create_with_opts(DISCARDABLE, PAGE).unwrap()] {
            assert_eq!(refused(&vmo, kind | C::NO_WRITE | C::RESIZABLE, 1, PAGE), Status::INVALID_ARGS);
        }
    }
}

#[test]
fn third_the_handle() {
    let discardable = Vmo::create_with_opts(DISCARDABLE, PAGE).unwrap();
    for options in [C::empty(), UNKNOWN, C::SNAPSHOT, C::SLICE | C::RESIZABLE, C::REFERENCE, C::NO_WRITE] {
        check_handle(|vmo| vmo.create_child(options, 1, PAGE));
        for lacking in [Rights::DUPLICATE, Rights::READ, Rights::DUPLICATE | Rights::READ] {
            for vmo in [&empty(1), &discardable] {
                assert_eq!(refused(&without(vmo, lacking), options, 1, PAGE), Status::ACCESS_DENIED);
            }
        }
    }
    // The type before the rights.
    let event = zx::Event::create();
    let bare = Vmo::from(event.duplicate_handle(Rights::NONE).unwrap().into_handle());
    assert_eq!(refused(&bare, C::SNAPSHOT, 0, PAGE), Status::WRONG_TYPE);
}

#[test]
fn fourth_what_can_be_discarded_has_no_children() {
    let discardable = Vmo::create_with_opts(DISCARDABLE | VmoOptions::RESIZABLE, PAGE).unwrap();
    for options in [C::empty(), UNKNOWN, C::SNAPSHOT | C::SLICE, C::SLICE | C::RESIZABLE, C::REFERENCE, C::NO_WRITE] {
        assert_eq!(refused(&discardable, options, 1, LARGEST + PAGE), Status::NOT_SUPPORTED, "{options:?}");
    }
}

#[test]
fn then_of_slices() {
    let (fixed, resizable) = (empty(2), empty_resizable(2));
    let uncached_resizable = uncached(VmoOptions::RESIZABLE);
    for more in [C::RESIZABLE, C::SNAPSHOT, C::SNAPSHOT_AT_LEAST_ON_WRITE, C::SNAPSHOT_MODIFIED, C::REFERENCE, UNKNOWN]
    {
        assert_eq!(refused(&fixed, C::SLICE | more, 0, LARGEST + PAGE), Status::INVALID_ARGS, "{more:?}");
    }
    for vmo in [&fixed, &resizable, &uncached_resizable] {
        assert_eq!(refused(vmo, C::SLICE, 1, LARGEST + PAGE), Status::INVALID_ARGS, "within a page");
        assert_eq!(refused(vmo, C::SLICE, 0, LARGEST + 1), Status::OUT_OF_RANGE, "too large");
        for (offset, size) in
            [(0, 3 * PAGE), (2 * PAGE, 1), (3 * PAGE, 0), (PAGE, LARGEST), (u64::MAX - PAGE + 1, PAGE)]
        {
            assert_eq!(refused(vmo, C::SLICE, offset, size), Status::INVALID_ARGS, "not inside: {offset:#x} {size:#x}");
        }
    }
    assert_eq!(refused(&uncached_resizable, C::SLICE, 0, PAGE), Status::NOT_SUPPORTED);
    assert_eq!(refused(&resizable, C::SLICE, 0, PAGE), Status::NOT_SUPPORTED);
    assert_eq!(refused(&uncached(VmoOptions::empty()), C::SLICE, 0, PAGE), Status::BAD_STATE);
    for (offset, size) in [(0, 0), (2 * PAGE, 0), (PAGE, 1), (0, PAGE + 1)] {
        let made = fixed.create_child(C::SLICE, offset, size).unwrap();
        assert_eq!(made.get_size(), Ok(size.next_multiple_of(PAGE)));
    }
}

#[test]
fn then_of_references() {
    let (fixed, resizable) = (empty(2), empty_resizable(2));
    let slice = child(&fixed, C::SLICE, 0, 2);
    for more in [C::SNAPSHOT, C::SNAPSHOT_AT_LEAST_ON_WRITE, C::SNAPSHOT_MODIFIED, C::SLICE, UNKNOWN] {
        assert_eq!(refused(&fixed, C::REFERENCE | more, 0, 0), Status::INVALID_ARGS, "{more:?}");
    }
    for vmo in [&fixed, &resizable, &slice, &uncached(VmoOptions::empty())] {
        for (offset, size) in [(0, 1), (PAGE, 0), (1, 0), (0, 2 * PAGE), (0, LARGEST + PAGE)] {
            for more in [C::empty(), C::RESIZABLE, C::NO_WRITE] {
                assert_eq!(refused(vmo, C::REFERENCE | more, offset, size), Status::INVALID_ARGS, "{offset} {size}");
            }
        }
    }
    for more in [C::empty(), C::RESIZABLE, C::NO_WRITE] {
        assert_eq!(refused(&slice, C::REFERENCE | more, 0, 0), Status::NOT_SUPPORTED);
    }
    for vmo in [&fixed, &uncached(VmoOptions::empty()), &without(&fixed, Rights::RESIZE)] {
        assert_eq!(refused(vmo, C::REFERENCE | C::RESIZABLE, 0, 0), Status::NOT_SUPPORTED, "the parent cannot either");
    }
    for vmo in [&resizable, &uncached(VmoOptions::RESIZABLE)] {
        let bound = without(vmo, Rights::RESIZE);
        assert_eq!(refused(&bound, C::REFERENCE | C::RESIZABLE, 0, 0), Status::ACCESS_DENIED, "no way to the right");
    }
    assert_eq!(refused(&uncached(VmoOptions::empty()), C::REFERENCE, 0, 0), Status::BAD_STATE);
    assert_eq!(refused(&uncached(VmoOptions::RESIZABLE), C::REFERENCE | C::RESIZABLE, 0, 0), Status::BAD_STATE);
}

#[test]
fn then_of_snapshots() {
    let fixed = empty(2);
    let slice = child(&fixed, C::SLICE, 0, 1);
    let all = [&fixed, &slice, &empty_resizable(2), &uncached(VmoOptions::empty())];
    let no_type = [
        C::empty(),
        C::RESIZABLE,
        C::NO_WRITE,
        C::SNAPSHOT | C::SNAPSHOT_MODIFIED,
        C::SNAPSHOT | C::SNAPSHOT_AT_LEAST_ON_WRITE,
        C::SNAPSHOT_MODIFIED | C::SNAPSHOT_AT_LEAST_ON_WRITE,
        C::SNAPSHOT | UNKNOWN,
        C::SNAPSHOT | C::from_bits_retain(1 << 31),
    ];
    for vmo in all {
        for options in no_type {
            assert_eq!(refused(vmo, options, 1, LARGEST + PAGE), Status::INVALID_ARGS, "{options:?}");
        }
        for kind in SNAPSHOTS {
            assert_eq!(refused(vmo, kind, 1, LARGEST + PAGE), Status::INVALID_ARGS, "within a page");
            assert_eq!(refused(vmo, kind, 0, LARGEST + 1), Status::OUT_OF_RANGE, "too large");
            assert_eq!(refused(vmo, kind, u64::MAX - PAGE + 1, 2 * PAGE), Status::OUT_OF_RANGE, "it wraps");
        }
    }
    for kind in SNAPSHOTS {
        assert_eq!(refused(&slice, kind, 0, 2 * PAGE), Status::OUT_OF_RANGE, "it leaves the slice");
        assert_eq!(refused(&slice, kind, 2 * PAGE, 0), Status::OUT_OF_RANGE, "it leaves the slice");
        assert_eq!(refused(&slice, kind, 0, PAGE), Status::NOT_SUPPORTED);
        assert_eq!(refused(&uncached(VmoOptions::empty()), kind, 0, PAGE), Status::BAD_STATE);
        // Outside the parent is fine.
        for (offset, size) in [(0, 3 * PAGE), (PAGE, 9 * PAGE), (100 * PAGE, PAGE), (0, 0), (0, LARGEST)] {
            assert_eq!(fixed.create_child(kind, offset, size).unwrap().get_size(), Ok(size));
        }
    }
    // Sizes are rounded, offsets never.
    assert_eq!(fixed.create_child(C::SNAPSHOT, PAGE, 1).unwrap().get_size(), Ok(PAGE));
}

#[test]
fn a_snapshot_must_not_end_too_far_from_where_its_ancestors_start() {
    let half = 1 << 63;
    for kind in SNAPSHOTS {
        let root = empty(1);
        let far = root.create_child(kind | C::RESIZABLE, half, PAGE).unwrap();
        assert_eq!(refused(&far, kind, half, PAGE), Status::INVALID_ARGS);
        assert_eq!(refused(&far, kind, half - PAGE, 2 * PAGE), Status::INVALID_ARGS);
        let near = far.create_child(kind, half - 2 * PAGE, PAGE).unwrap();
        assert_eq!(near.get_size(), Ok(PAGE));
        // Growing comes to the same.
        assert_eq!(far.set_size(half + PAGE), Err(Status::INVALID_ARGS));
        assert_eq!(far.set_size(LARGEST + 1), Err(Status::OUT_OF_RANGE), "too large before too far");
        assert_eq!(without(&far, Rights::RESIZE).set_size(half + PAGE), Err(Status::ACCESS_DENIED));
        assert_eq!(far.set_size(half - PAGE), Ok(()));
        assert_eq!(far.get_size(), Ok(half - PAGE));
    }
}

#[test]
fn a_refused_child_leaves_nothing() {
    let vmo = written(2);
    let before = vmo.info().unwrap();
    for (options, offset, size) in
        [(C::SNAPSHOT, 1, PAGE), (C::SLICE, 0, 3 * PAGE), (C::REFERENCE, 0, 1), (C::empty(), 0, 0)]
    {
        refused(&vmo, options, offset, size);
        assert_eq!(vmo.info().unwrap(), before);
        assert!(has_no_children(&vmo));
    }
}

// ---- The new handle ----

/// A handle to the VMO with these rights exactly.
fn with(vmo: &Vmo, rights: Rights) -> Vmo {
    vmo.duplicate_handle(rights).unwrap()
}

fn rights(vmo: &Vmo) -> Rights {
    vmo.basic_info().unwrap().rights
}

#[test]
fn rights_of_children() {
    let full = Rights::VMO_DEFAULT | Rights::RESIZE | Rights::EXECUTE;
    let ambient = Resource::from(NullableHandle::invalid());
    let source = empty_resizable(2).replace_as_executable(&ambient).unwrap();
    let fixed = empty(2).replace_as_executable(&ambient).unwrap();
    assert_eq!((rights(&source), rights(&fixed)), (full, full - Rights::RESIZE));
    let property = Rights::GET_PROPERTY | Rights::SET_PROPERTY;
    let least = Rights::DUPLICATE | Rights::READ;
    for has in [
        full,
        full - Rights::WRITE,
        full - property,
        full - Rights::MAP,
        full - Rights::RESIZE,
        least,
        least | Rights::EXECUTE,
    ] {
        let parent = with(&source, has);
        let base = (has - Rights::RESIZE) | property;
        for kind in SNAPSHOTS {
            let of = |more: C| rights(&parent.create_child(kind | more, 0, 2 * PAGE).unwrap());
            assert_eq!(of(C::empty()), (base | Rights::WRITE) - Rights::EXECUTE, "{kind:?} of {has:?}");
            assert_eq!(
                of(C::RESIZABLE),
                (base | Rights::WRITE | Rights::RESIZE) - Rights::EXECUTE,
                "{kind:?} of {has:?}"
            );
            assert_eq!(of(C::NO_WRITE), base - Rights::WRITE, "{kind:?} of {has:?}");
        }
        let of = |more: C| rights(&parent.create_child(C::REFERENCE | more, 0, 0).unwrap());
        assert_eq!(of(C::empty()), base, "a reference of {has:?}");
        assert_eq!(of(C::NO_WRITE), base - Rights::WRITE, "a reference of {has:?}");
        if has.contains(Rights::RESIZE) {
            assert_eq!(of(C::RESIZABLE), base | Rights::RESIZE, "a reference of {has:?}");
        }
        let parent = with(&fixed, has - Rights::RESIZE);
        let of = |more: C| rights(&parent.create_child(C::SLICE | more, 0, PAGE).unwrap());
        assert_eq!(of(C::empty()), base, "a slice of {has:?}");
        assert_eq!(of(C::NO_WRITE), base - Rights::WRITE, "a slice of {has:?}");
    }
}

#[test]
fn rights_mean_what_they_say() {
    let vmo = written(1);
    let reader = without(&vmo, Rights::WRITE);
    let copy = snapshot(&reader);
    assert_eq!(copy.write(&[9], 0), Ok(()), "a copy of what may be read may be written");
    for kind in [C::SLICE, C::SLICE | C::NO_WRITE, C::SNAPSHOT | C::NO_WRITE] {
        let made = child(&reader, kind, 0, 1);
        assert_eq!(
            (made.write(&[9], 0), op(&made, VmoOp::ZERO, 0, 1)),
            (Err(Status::ACCESS_DENIED), Err(Status::ACCESS_DENIED))
        );
        assert_eq!(content(&made), [1]);
    }
    assert_eq!(reference(&reader).write(&[9], 0), Err(Status::ACCESS_DENIED));
    assert_eq!(content(&vmo), [1]);
}

#[test]
fn names_are_copied_where_they_may_be_read() {
    let vmo = empty(1);
    vmo.set_name(&Name::new("family").unwrap()).unwrap();
    let unseen = without(&vmo, Rights::GET_PROPERTY);
    for (kind, size) in TYPES {
        let size = size.min(PAGE);
        let made = vmo.create_child(kind, 0, size).unwrap();
        assert_eq!(
            (made.get_name().unwrap(), made.info().unwrap().name),
            (Name::new("family").unwrap(), Name::new("family").unwrap())
        );
        assert_eq!(unseen.create_child(kind, 0, size).unwrap().get_name().unwrap(), "", "{kind:?}");
        // A copy of the name: each has its own.
        made.set_name(&Name::new("child").unwrap()).unwrap();
        assert_eq!(vmo.get_name().unwrap(), "family");
    }
}

#[test]
fn where_the_content_of_children_ends() {
    let vmo = Vmo::create(2 * PAGE - 7).unwrap();
    for kind in [C::SNAPSHOT, C::SNAPSHOT_AT_LEAST_ON_WRITE, C::SNAPSHOT_MODIFIED, C::SLICE] {
        let made = vmo.create_child(kind, 0, PAGE + 5).unwrap();
        assert_eq!((made.get_stream_size(), made.get_size()), (Ok(PAGE + 5), Ok(2 * PAGE)), "{kind:?}");
        made.set_content_size(&3).unwrap();
        assert_eq!(
            (made.get_stream_size(), vmo.get_stream_size()),
            (Ok(3), Ok(2 * PAGE - 7)),
            "{kind:?}: each its own"
        );
    }
    let same = reference(&vmo);
    assert_eq!(same.get_stream_size(), Ok(2 * PAGE - 7));
    same.set_stream_size(100).unwrap();
    assert_eq!((vmo.get_stream_size(), vmo.get_content_size()), (Ok(100), Ok(100)));
    vmo.set_stream_size(200).unwrap();
    assert_eq!((same.get_stream_size(), same.get_content_size()), (Ok(200), Ok(200)));
    let of_reference = reference(&same);
    of_reference.set_content_size(&300).unwrap();
    assert_eq!((vmo.get_stream_size(), same.get_stream_size()), (Ok(300), Ok(300)));
}

#[test]
fn who_can_be_resized() {
    let (fixed, resizable) = (empty(2), empty_resizable(2));
    for kind in SNAPSHOTS {
        for parent in [&fixed, &resizable] {
            let may = child(parent, kind | C::RESIZABLE, 0, 2);
            assert_eq!((may.set_size(PAGE), may.get_size()), (Ok(()), Ok(PAGE)));
            assert!(may.info().unwrap().flags.contains(VmoInfoFlags::RESIZABLE));
            let must_not = child(parent, kind, 0, 2);
            assert_eq!((must_not.set_size(PAGE), must_not.get_size()), (Err(Status::UNAVAILABLE), Ok(2 * PAGE)));
            assert!(!must_not.info().unwrap().flags.contains(VmoInfoFlags::RESIZABLE));
        }
    }
    assert_eq!((fixed.get_size(), resizable.get_size()), (Ok(2 * PAGE), Ok(2 * PAGE)), "the parent's size is its own");
    assert_eq!(child(&fixed, C::SLICE, 0, 2).set_size(PAGE), Err(Status::UNAVAILABLE));
    assert_eq!(reference(&fixed).set_size(PAGE), Err(Status::UNAVAILABLE));
    assert_eq!(reference(&resizable).set_size(PAGE), Err(Status::ACCESS_DENIED), "the object can be, by other handles");
}

#[test]
fn a_reference_and_its_parent_have_one_size() {
    let vmo = count_up(empty_resizable(3));
    let same = vmo.create_child(C::REFERENCE | C::RESIZABLE, 0, 0).unwrap();
    let third = reference(&same);
    let sizes = || [&vmo, &same, &third].map(|vmo| vmo.get_size().unwrap() / PAGE);
    assert_eq!(same.set_size(PAGE), Ok(()));
    assert_eq!((sizes(), content(&vmo)), ([1; 3], vec![1]));
    assert_eq!(vmo.set_size(4 * PAGE), Ok(()));
    assert_eq!((sizes(), content(&same), content(&third)), ([4; 3], vec![1, 0, 0, 0], vec![1, 0, 0, 0]));
    common::family::fill(&third, 3, 7);
    assert_eq!((content(&vmo), content(&same)), (vec![1, 0, 0, 7], vec![1, 0, 0, 7]));
    drop(vmo);
    assert_eq!(same.set_size(2 * PAGE), Ok(()), "the memory and its size outlive the first object");
    assert_eq!((content(&third), third.info().unwrap().size_bytes), (vec![1, 0], 2 * PAGE));
}

#[test]
fn mappings_follow_the_size_through_every_reference() {
    let region = Region::new(6);
    let vmo = count_up(empty_resizable(3));
    let same = vmo.create_child(C::REFERENCE | C::RESIZABLE, 0, 0).unwrap();
    let (a, b) = (region.map(0, &vmo, 0, 3, RW), region.map(3, &same, 0, 3, RW));
    assert_eq!((common::peek(a + 2 * P), common::peek(b + 2 * P)), (3, 3));
    for shrinker in [&vmo, &same] {
        shrinker.set_size(2 * PAGE).unwrap();
        assert!(common::try_peek(a + 2 * P).is_err() && common::try_peek(b + 2 * P).is_err());
        shrinker.set_size(3 * PAGE).unwrap();
        assert_eq!((common::peek(a + 2 * P), common::peek(b + 2 * P)), (0, 0));
        common::poke(a + 2 * P, 9);
        assert_eq!(common::peek(b + 2 * P), 9);
    }
}

#[test]
fn what_cannot_change_says_so() {
    let vmo = written(1);
    let flags = |vmo: &Vmo| vmo.info().unwrap().flags;
    let base = VmoInfoFlags::PAGED | VmoInfoFlags::VIA_HANDLE;
    assert_eq!(flags(&vmo), base);
    for kind in SNAPSHOTS {
        assert_eq!(flags(&child(&vmo, kind, 0, 1)), base | VmoInfoFlags::IS_COW_CLONE);
        let resizable = base | VmoInfoFlags::IS_COW_CLONE | VmoInfoFlags::RESIZABLE;
        assert_eq!(flags(&child(&vmo, kind | C::RESIZABLE, 0, 1)), resizable);
    }
    let frozen = child(&vmo, C::SNAPSHOT | C::NO_WRITE, 0, 1);
    assert_eq!(flags(&frozen), base | VmoInfoFlags::IS_COW_CLONE | VmoInfoFlags::IMMUTABLE);
    for kind in [C::empty(), C::NO_WRITE] {
        assert_eq!(flags(&child(&vmo, C::SLICE | kind, 0, 1)), base, "a slice is no copy");
        assert_eq!(flags(&vmo.create_child(C::REFERENCE | kind, 0, 0).unwrap()), base, "nor is a reference");
    }
    assert_eq!(flags(&child(&frozen, C::SLICE, 0, 1)), base);
    assert_eq!(flags(&vmo), base, "nor is a parent");
}

#[test]
fn cache_policies_of_families() {
    let vmo = empty(1);
    vmo.set_cache_policy(CachePolicy::UnCached).unwrap();
    vmo.set_cache_policy(CachePolicy::Cached).unwrap();
    for (kind, size) in TYPES {
        let made = vmo.create_child(kind, 0, size.min(PAGE)).unwrap();
        for member in [&vmo, &made] {
            assert_eq!(member.set_cache_policy(CachePolicy::UnCached), Err(Status::BAD_STATE), "{kind:?}");
        }
        assert_eq!(vmo.read_to_object(0), Ok(0_u8), "still cached");
        drop(made);
        wait_for_no_children(&vmo);
    }
    assert_eq!(vmo.set_cache_policy(CachePolicy::UnCached), Ok(()), "alone again");
    // A copy whose parent is gone is a child no more.
    let parent = written(1);
    let orphan = snapshot(&parent);
    assert_eq!(orphan.set_cache_policy(CachePolicy::UnCached), Err(Status::BAD_STATE));
    drop(parent);
    assert_eq!(orphan.set_cache_policy(CachePolicy::UnCached), Ok(()));
}

// ---- The family tree that callers see ----

fn koid(vmo: &Vmo) -> Koid {
    vmo.koid().unwrap()
}

fn parent(vmo: &Vmo) -> Koid {
    vmo.info().unwrap().parent_koid
}

fn children(vmo: &Vmo) -> usize {
    vmo.info().unwrap().num_children
}

fn wait_for_no_children(vmo: &Vmo) {
    let deadline = MonotonicInstant::after(MonotonicDuration::from_seconds(10));
    assert!(vmo.wait_one(Signals::VMO_ZERO_CHILDREN, deadline).to_result().is_ok(), "{:?}", vmo.info());
}

fn has_no_children(vmo: &Vmo) -> bool {
    let answer = vmo.wait_one(Signals::VMO_ZERO_CHILDREN, MonotonicInstant::ZERO);
    match answer.to_result() {
        Ok(signals) => signals.contains(Signals::VMO_ZERO_CHILDREN),
        Err(status) => {
            assert_eq!(status, Status::TIMED_OUT);
            false
        }
    }
}

#[test]
fn every_type_has_its_parent() {
    let vmo = empty(1);
    assert_eq!((parent(&vmo), children(&vmo), has_no_children(&vmo)), (Koid::default(), 0, true));
    for (kind, size) in TYPES {
        let made = vmo.create_child(kind, 0, size.min(PAGE)).unwrap();
        assert_eq!((parent(&made), children(&vmo), children(&made)), (koid(&vmo), 1, 0), "{kind:?}");
        assert_eq!((has_no_children(&vmo), has_no_children(&made)), (false, true), "{kind:?}");
        assert_ne!(koid(&made), koid(&vmo));
        let grandchild = made.create_child(C::SLICE, 0, 0).unwrap();
        assert_eq!((parent(&grandchild), children(&made), children(&vmo)), (koid(&made), 1, 1), "{kind:?}");
        drop(grandchild);
        wait_for_no_children(&made);
        drop(made);
        wait_for_no_children(&vmo);
        assert_eq!(children(&vmo), 0, "{kind:?}");
    }
}

#[test]
fn the_tree_follows_the_calls_whatever_the_pages_do() {
    // Repeated snapshots of what has not changed need no deeper tree of pages, but each has the parent it was made of.
    let root = written(1);
    let made: Vec<Vmo> = (0..5).map(|_| snapshot(&root)).collect();
    let of_made: Vec<Vmo> = made.iter().map(snapshot).collect();
    assert!(made.iter().all(|vmo| parent(vmo) == koid(&root)));
    assert!(of_made.iter().zip(&made).all(|(vmo, of)| parent(vmo) == koid(of)));
    assert_eq!((children(&root), made.iter().map(children).collect::<Vec<_>>()), (5, vec![1; 5]));
}

#[test]
fn children_of_who_is_gone_go_to_the_grandparent() {
    let root = written(1);
    let middle = snapshot(&root);
    let (copy, window, same) = (snapshot(&middle), child(&middle, C::SLICE, 0, 1), reference(&middle));
    assert_eq!((children(&root), children(&middle)), (1, 3));
    drop(middle);
    assert_eq!(children(&root), 3, "it gains them");
    assert_eq!([&copy, &window, &same].map(parent), [koid(&root); 3]);
    assert!(!has_no_children(&root));
    assert!(copy.info().unwrap().flags.contains(VmoInfoFlags::IS_COW_CLONE));
    assert_eq!([&copy, &window, &same].map(content), [[1], [1], [1]]);
    drop((copy, window));
    assert_eq!(children(&root), 1);
    drop(same);
    wait_for_no_children(&root);
}

#[test]
fn orphans() {
    let root = written(1);
    let (copy, window, same) = (snapshot(&root), child(&root, C::SLICE, 0, 1), reference(&root));
    let grandchild = snapshot(&copy);
    drop(root);
    assert_eq!([&copy, &window, &same].map(parent), [Koid::default(); 3]);
    assert!(!copy.info().unwrap().flags.contains(VmoInfoFlags::IS_COW_CLONE), "nobody it would be a copy of");
    assert_eq!(parent(&grandchild), koid(&copy));
    assert!(grandchild.info().unwrap().flags.contains(VmoInfoFlags::IS_COW_CLONE));
    assert_eq!([&copy, &window, &same, &grandchild].map(content), [[1]; 4].map(Vec::from));
    // The window and the reference still are the same memory, the copies are not.
    common::family::fill(&window, 0, 8);
    assert_eq!([&copy, &window, &same, &grandchild].map(content), [[1], [8], [8], [1]].map(Vec::from));
    drop(copy);
    assert_eq!(parent(&grandchild), Koid::default());
    assert!(!grandchild.info().unwrap().flags.contains(VmoInfoFlags::IS_COW_CLONE));
}

#[test]
fn zero_children_waits_for_the_last_mapping() {
    let region = Region::new(2);
    for (kind, size) in TYPES {
        let vmo = written(1);
        let made = vmo.create_child(kind, 0, size.min(PAGE)).unwrap();
        region.map(0, &made, 0, 1, RW);
        region.map(1, &made, 0, 1, RW);
        drop(made);
        assert!(!has_no_children(&vmo), "{kind:?}: it lives by its mappings");
        region.unmap(0, 1);
        assert!(!has_no_children(&vmo), "{kind:?}: there is another one");
        assert_eq!((children(&vmo), common::peek(region.page(1))), (1, 1));
        thread::scope(|scope| {
            scope.spawn(|| wait_for_no_children(&vmo));
            region.unmap(1, 1);
        });
        assert_eq!(children(&vmo), 0, "{kind:?}");
    }
}

#[test]
fn zero_children_however_the_last_mapping_goes() {
    let vmo = written(1);
    // By another mapping in its place.
    let region = Region::new(1);
    region.map(0, &snapshot(&vmo), 0, 1, RW);
    assert!(!has_no_children(&vmo));
    let flags = zx::VmarFlagsExtended::PERM_READ | zx::VmarFlagsExtended::SPECIFIC_OVERWRITE;
    // SAFETY: nothing refers to the region.
    unsafe { region.vmar.map_unsafe(0, &empty(1), 0, P, flags) }.unwrap();
    wait_for_no_children(&vmo);
    // With its region.
    let region = Region::new(1);
    region.map(0, &child(&vmo, C::SLICE, 0, 1), 0, 1, RW);
    assert!(!has_no_children(&vmo));
    drop(region);
    wait_for_no_children(&vmo);
}

#[test]
fn zero_children_waits_for_grandchildren_that_were_inherited() {
    let root = written(1);
    let middle = snapshot(&root);
    let grandchild = snapshot(&middle);
    drop(middle);
    assert!(!has_no_children(&root));
    drop(grandchild);
    wait_for_no_children(&root);
    // The second handle of a child keeps it, too.
    let made = snapshot(&root);
    let again = made.duplicate_handle(Rights::SAME_RIGHTS).unwrap();
    drop(made);
    assert!(!has_no_children(&root));
    drop(again);
    wait_for_no_children(&root);
    assert_eq!(
        root.signal(Signals::VMO_ZERO_CHILDREN, Signals::NONE),
        Err(Status::INVALID_ARGS),
        "nobody can forge it"
    );
}

#[test]
fn a_parent_lives_as_long_as_its_mapping() {
    let region = Region::new(1);
    let root = written(1);
    let (id, copy) = (koid(&root), snapshot(&root));
    region.map(0, &root, 0, 1, RW);
    drop(root);
    assert_eq!(parent(&copy), id, "it is not closed while it is mapped");
    region.unmap(0, 1);
    assert_eq!((parent(&copy), content(&copy)), (Koid::default(), vec![1]));
}

#[test]
fn contiguous_memory_has_nobody_to_ask() {
    let none = zx::Bti::from(NullableHandle::invalid());
    let event = zx::Bti::from(zx::Event::create().into_handle());
    let refused = |bti: &zx::Bti, size, alignment| Vmo::create_contiguous(bti, size, alignment).unwrap_err();
    for bti in [&none, &event] {
        assert_eq!(refused(bti, 0, 12), Status::INVALID_ARGS);
        assert_eq!(refused(bti, 0, 64), Status::INVALID_ARGS);
        for alignment in [1, 11, 64, u32::MAX] {
            assert_eq!(refused(bti, P, alignment), Status::INVALID_ARGS, "{alignment}");
        }
    }
    for (size, alignment) in [(1, 0), (P, 12), (P, 63), (usize::MAX, 0)] {
        assert_eq!(refused(&none, size, alignment), Status::BAD_HANDLE);
        assert_eq!(refused(&event, size, alignment), Status::WRONG_TYPE);
    }
}
