//! What copies on write hold: at the call, past the ends, after either side changes its size, and when relatives go.

mod common;

use std::thread;

use common::family::{
    LARGEST, PAGE, SNAPSHOTS, child, content, count_up, empty, empty_resizable, fill, op, page_at, reference, snapshot,
    written,
};
use common::{P, RW, Region};
use zx::{Status, Vmo, VmoChildOptions as C, VmoOp};
use zxvm as zx;

// ---- At the call ----

#[test]
fn the_content_of_the_range_and_zeros_outside() {
    for kind in SNAPSHOTS {
        let vmo = written(3);
        assert_eq!(content(&child(&vmo, kind, 0, 3)), [1, 2, 3]);
        assert_eq!(content(&child(&vmo, kind, 1, 1)), [2]);
        assert_eq!(content(&child(&vmo, kind, 2, 3)), [3, 0, 0], "partly past the end");
        assert_eq!(content(&child(&vmo, kind, 3, 2)), [0, 0], "wholly past the end");
        assert_eq!(content(&child(&vmo, kind, 1 << 50, 2)), [0, 0]);
        assert_eq!(content(&child(&vmo, kind, 1, 0)), []);
        let sparse = empty(4);
        fill(&sparse, 2, 7);
        assert_eq!(content(&child(&sparse, kind, 0, 4)), [0, 0, 7, 0]);
        let unrounded = vmo.create_child(kind, PAGE, 5).unwrap();
        assert_eq!(page_at(&unrounded, 0), 2, "the whole page, as the size is rounded");
    }
}

#[test]
fn writes_on_either_side_stay_there() {
    for kind in SNAPSHOTS {
        let vmo = written(4);
        let copy = child(&vmo, kind, 1, 3);
        fill(&vmo, 1, 11);
        fill(&copy, 1, 12);
        assert_eq!((content(&vmo), content(&copy)), (vec![1, 11, 3, 4], vec![2, 12, 4]));
        // A part of a page takes the rest of it along.
        vmo.write(&[21], 3 * PAGE + 5).unwrap();
        copy.write(&[22], 10).unwrap();
        assert_eq!(vmo.read_to_array(3 * PAGE + 4), Ok([4, 21, 4_u8]));
        assert_eq!(copy.read_to_array(9), Ok([2, 22, 2_u8]));
        assert_eq!(page_at(&copy, 2 * PAGE), 4);
        assert_eq!(page_at(&vmo, PAGE), 11);
        // Across pages of which one is shared.
        vmo.write(&[31; 2 * P], PAGE / 2).unwrap();
        assert_eq!(content(&child(&copy, kind, 1, 2)), [12, 4]);
    }
}

#[test]
fn pages_that_nobody_has_written_are_everyones_own() {
    for kind in SNAPSHOTS {
        let vmo = empty(3);
        let copy = child(&vmo, kind, 0, 3);
        fill(&vmo, 0, 1);
        fill(&copy, 1, 2);
        assert_eq!((content(&vmo), content(&copy)), (vec![1, 0, 0], vec![0, 2, 0]));
    }
}

#[test]
fn clones_of_clones_and_siblings() {
    for kind in SNAPSHOTS {
        let root = written(3);
        let first = child(&root, kind, 0, 3);
        fill(&root, 0, 10);
        let second = child(&root, kind, 0, 3);
        fill(&first, 1, 20);
        let of_first = child(&first, kind, 1, 2);
        let of_second = child(&second, kind, 0, 2);
        fill(&of_first, 1, 30);
        fill(&second, 0, 40);
        fill(&root, 2, 50);
        assert_eq!(content(&root), [10, 2, 50]);
        assert_eq!(content(&first), [1, 20, 3]);
        assert_eq!(content(&second), [40, 2, 3]);
        assert_eq!(content(&of_first), [20, 30]);
        assert_eq!(content(&of_second), [10, 2]);
    }
}

#[test]
fn a_long_line_of_clones() {
    // Each generation writes its own page, so the last one sees a page from each.
    let mut line = vec![written(64)];
    for generation in 0..64 {
        let next = snapshot(line.last().unwrap());
        fill(&next, generation, 200);
        line.push(next);
    }
    for (generation, vmo) in line.iter().enumerate() {
        let expected: Vec<u8> = (0..64).map(|page| if page < generation { 200 } else { page as u8 + 1 }).collect();
        assert_eq!(content(vmo), expected, "generation {generation}");
    }
    // Every other one goes, the middle first; the rest is as it was.
    let mut keep = Vec::new();
    for (generation, vmo) in line.into_iter().enumerate() {
        if generation % 2 == 0 {
            keep.push((generation, vmo));
        }
    }
    for (generation, vmo) in &keep {
        let expected: Vec<u8> = (0..64).map(|page| if page < *generation { 200 } else { page as u8 + 1 }).collect();
        assert_eq!(content(vmo), expected, "generation {generation}");
        fill(vmo, 63, 99);
    }
    assert!(keep.iter().all(|(_, vmo)| content(vmo)[63] == 99));
}

#[test]
fn many_snapshots_of_one_vmo_in_between_writes() {
    let root = empty(8);
    let mut held = Vec::new();
    for round in 0..100_u8 {
        fill(&root, u64::from(round % 8), round + 1);
        held.push((content(&root), snapshot(&root)));
    }
    for (expected, copy) in &held {
        assert_eq!(content(copy), *expected);
    }
}

#[test]
fn far_out_in_huge_ones() {
    let root = Vmo::create(LARGEST).unwrap();
    let far = LARGEST - PAGE;
    root.write(&[7; P], far).unwrap();
    root.write(&[8; P], 1 << 40).unwrap();
    let copy = root.create_child(C::SNAPSHOT, 0, LARGEST).unwrap();
    let end = root.create_child(C::SNAPSHOT, far, PAGE).unwrap();
    root.write(&[9; P], far).unwrap();
    assert_eq!(page_at(&copy, far), 7);
    assert_eq!(content(&end), [7]);
    copy.write(&[5; P], 1 << 40).unwrap();
    assert_eq!((root.read_to_object(1 << 40), root.read_to_object(far)), (Ok(8_u8), Ok(9_u8)));
    assert_eq!(copy.info().unwrap().committed_bytes, 2 * PAGE);
}

// ---- Past the ends ----

#[test]
fn past_the_parents_end_is_zero_for_ever() {
    for kind in SNAPSHOTS {
        let vmo = count_up(empty_resizable(2));
        let copy = child(&vmo, kind, 0, 4);
        vmo.set_size(4 * PAGE).unwrap();
        fill(&vmo, 2, 9);
        fill(&vmo, 3, 9);
        assert_eq!((content(&copy), content(&vmo)), (vec![1, 2, 0, 0], vec![1, 2, 9, 9]));
        // Not by one of a later call, either: that one sees what is there then.
        let later = child(&vmo, kind, 0, 4);
        assert_eq!((content(&copy), content(&later)), (vec![1, 2, 0, 0], vec![1, 2, 9, 9]));
        drop(vmo);
        assert_eq!((content(&copy), content(&later)), (vec![1, 2, 0, 0], vec![1, 2, 9, 9]));
    }
}

#[test]
fn a_clone_of_a_clone_sees_no_more_than_its_parent_could() {
    for kind in SNAPSHOTS {
        let root = written(3);
        let narrow = child(&root, kind, 1, 1);
        let wide = child(&narrow, kind, 0, 2);
        assert_eq!(content(&wide), [2, 0], "although the root has a page there");
        let shifted = child(&narrow, kind, 1, 1);
        assert_eq!(content(&shifted), [0]);
        drop(narrow);
        assert_eq!((content(&wide), content(&shifted)), (vec![2, 0], vec![0]));
        fill(&root, 2, 9);
        drop(root);
        assert_eq!((content(&wide), content(&shifted)), (vec![2, 0], vec![0]));
        // With the middle one reaching past its parent, and its child back inside that.
        let root = written(2);
        let middle = child(&root, kind, 1, 3);
        let last = child(&middle, kind, 0, 3);
        assert_eq!((content(&middle), content(&last)), (vec![2, 0, 0], vec![2, 0, 0]));
    }
}

#[test]
fn growing_a_child_reveals_zeros() {
    for kind in SNAPSHOTS {
        let root = written(4);
        let copy = child(&root, kind | C::RESIZABLE, 1, 1);
        copy.set_size(3 * PAGE).unwrap();
        assert_eq!(content(&copy), [2, 0, 0], "although the parent has content there");
        fill(&copy, 2, 9);
        let of_copy = child(&copy, kind, 0, 3);
        assert_eq!((content(&of_copy), content(&root)), (vec![2, 0, 9], vec![1, 2, 3, 4]));
    }
}

#[test]
fn shrinking_and_growing_again_reveals_zeros() {
    for kind in SNAPSHOTS {
        // The child.
        let root = written(3);
        let copy = child(&root, kind | C::RESIZABLE, 0, 3);
        fill(&copy, 2, 9);
        copy.set_size(PAGE).unwrap();
        copy.set_size(3 * PAGE).unwrap();
        assert_eq!((content(&copy), content(&root)), (vec![1, 0, 0], vec![1, 2, 3]));
        // The parent: what was cut off is the child's alone.
        let root = count_up(empty_resizable(3));
        let copy = child(&root, kind, 0, 3);
        root.set_size(PAGE).unwrap();
        assert_eq!(content(&copy), [1, 2, 3], "the parent's size is not the child's");
        root.set_size(3 * PAGE).unwrap();
        assert_eq!((content(&root), content(&copy)), (vec![1, 0, 0], vec![1, 2, 3]));
        root.set_size(0).unwrap();
        root.set_size(3 * PAGE).unwrap();
        assert_eq!((content(&root), content(&copy)), (vec![0, 0, 0], vec![1, 2, 3]));
        // Within a page: the rest of it becomes zero on the one side only.
        root.set_size(0).unwrap();
        let copy = child(&copy, kind | C::RESIZABLE, 0, 3);
        let of_copy = snapshot(&copy);
        copy.set_size(PAGE + 10).unwrap();
        assert_eq!(copy.read_to_array(PAGE + 9), Ok([2_u8, 0]));
        assert_eq!(content(&of_copy), [1, 2, 3]);
    }
}

#[test]
fn the_stream_size_of_one_side_zeroes_that_side() {
    for kind in SNAPSHOTS {
        let root = written(3);
        let copy = child(&root, kind, 0, 3);
        let of_copy = child(&copy, kind, 0, 3);
        root.set_stream_size(PAGE).unwrap();
        copy.set_stream_size(2 * PAGE + 100).unwrap();
        assert_eq!(content(&root), [1, 0, 0]);
        assert_eq!((copy.read_to_array(2 * PAGE + 99), copy.read_to_object(PAGE)), (Ok([3_u8, 0]), Ok(2_u8)));
        copy.set_content_size(&PAGE).unwrap();
        assert_eq!((content(&copy), content(&of_copy)), (vec![1, 0, 0], vec![1, 2, 3]));
    }
}

// ---- Who goes first ----

/// A family of six, each of which has written something: the root, two clones, a clone of each, and one more of the
/// first's clone.
fn family() -> Vec<Vmo> {
    let root = written(6);
    let (a, b) = (snapshot(&root), child(&root, C::SNAPSHOT, 2, 4));
    fill(&a, 0, 20);
    fill(&root, 1, 21);
    let (of_a, of_b) = (snapshot(&a), snapshot(&b));
    fill(&of_a, 2, 22);
    fill(&b, 1, 23);
    fill(&of_b, 0, 24);
    let last = child(&of_a, C::SNAPSHOT, 1, 8);
    fill(&last, 3, 25);
    fill(&of_a, 5, 26);
    vec![root, a, b, of_a, of_b, last]
}

const FAMILY: [&[u8]; 6] = [
    &[1, 21, 3, 4, 5, 6],
    &[20, 2, 3, 4, 5, 6],
    &[3, 23, 5, 6],
    &[20, 2, 22, 4, 5, 26],
    &[24, 4, 5, 6],
    &[2, 22, 4, 25, 6, 0, 0, 0],
];

#[test]
fn members_may_go_in_any_order() {
    // All 720 orders.
    fn orders(rest: &[usize], so_far: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if rest.is_empty() {
            all.push(so_far.clone());
        }
        for member in rest {
            so_far.push(*member);
            let others: Vec<usize> = rest.iter().copied().filter(|other| other != member).collect();
            orders(&others, so_far, all);
            so_far.pop();
        }
    }
    let mut all = Vec::new();
    orders(&[0, 1, 2, 3, 4, 5], &mut Vec::new(), &mut all);
    assert_eq!(all.len(), 720);
    for order in all {
        let mut members: Vec<Option<Vmo>> = family().into_iter().map(Some).collect();
        for (gone, member) in order.iter().enumerate() {
            members[*member] = None;
            for (index, left) in members.iter().enumerate().filter_map(|(i, left)| Some((i, left.as_ref()?))) {
                assert_eq!(content(left), FAMILY[index], "member {index} after {:?} went", &order[..=gone]);
            }
        }
    }
}

#[test]
fn members_that_stay_can_still_be_written() {
    for (stays, expected) in FAMILY.into_iter().enumerate() {
        let mut members = family();
        let left = members.swap_remove(stays);
        drop(members);
        assert_eq!(content(&left), expected);
        let pages = left.get_size().unwrap() / PAGE;
        (0..pages).for_each(|page| fill(&left, page, 100 + page as u8));
        assert_eq!(content(&left), (100..100 + pages as u8).collect::<Vec<_>>());
        assert_eq!(left.info().unwrap().committed_private_bytes, pages * PAGE, "all of it its own");
        assert_eq!(op(&left, VmoOp::DECOMMIT, 0, pages), Ok(()), "and nobody is left that it would be a copy of");
        assert_eq!(left.info().unwrap().committed_bytes, 0);
    }
}

#[test]
fn windows_and_references_show_one_memory() {
    let root = written(4);
    let (window, same) = (child(&root, C::SLICE, 1, 2), reference(&root));
    let inner = child(&window, C::SLICE, 1, 1);
    let all = |expected: [&[u8]; 4]| {
        assert_eq!([&root, &same, &window, &inner].map(content), expected.map(<[u8]>::to_vec));
    };
    all([&[1, 2, 3, 4], &[1, 2, 3, 4], &[2, 3], &[3]]);
    fill(&inner, 0, 7);
    all([&[1, 2, 7, 4], &[1, 2, 7, 4], &[2, 7], &[7]]);
    fill(&same, 1, 8);
    all([&[1, 8, 7, 4], &[1, 8, 7, 4], &[8, 7], &[7]]);
    // A window ends where it ends.
    assert_eq!(window.read(&mut [0], 2 * PAGE), Err(Status::OUT_OF_RANGE));
    assert_eq!(window.write(&[0; P], PAGE + 1), Err(Status::OUT_OF_RANGE));
    // A copy is of the memory, whoever shows it; and they all go on together afterwards.
    let copy = snapshot(&same);
    fill(&window, 0, 9);
    all([&[1, 9, 7, 4], &[1, 9, 7, 4], &[9, 7], &[7]]);
    assert_eq!(content(&copy), [1, 8, 7, 4]);
    let mut rest = vec![same, window, inner];
    drop(root);
    for (expected, page) in [(vec![1, 9, 7, 4], 2), (vec![9, 30], 1), (vec![31], 0)] {
        assert_eq!(content(&rest[0]), expected, "as long as one shows it, it is there");
        fill(&rest[0], page, 30 + (3 - rest.len() as u8));
        rest.remove(0);
    }
    assert_eq!(content(&copy), [1, 8, 7, 4]);
}

#[test]
fn making_and_closing_from_many_threads() {
    // Pages 12 to 15 are written all the while, one by each thread; what a copy holds of another thread's page is tested
    // elsewhere (isolation.rs).
    let root = written(16);
    let steady = |vmo: &Vmo| content(&child(vmo, C::SLICE, 0, 12));
    let byte = |vmo: &Vmo, page: u64| vmo.read_to_object::<u8>(page * PAGE + 17).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let root = &root;
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..100_u8 {
                    let copy = snapshot(root);
                    assert_eq!(steady(&copy), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
                    fill(root, 12 + thread, round);
                    fill(&copy, thread, 100 + round);
                    let of_copy = snapshot(&copy);
                    assert_eq!(byte(&of_copy, thread), 100 + round);
                    held.push((round, copy, of_copy));
                    if held.len() > 5 {
                        let (round, copy, of_copy) = held.swap_remove(usize::from(round) % 5);
                        drop(copy);
                        assert_eq!(byte(&of_copy, thread), 100 + round);
                    }
                }
                assert_eq!(byte(root, 12 + thread), 99);
            });
        }
    });
    assert_eq!(content(&root), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 99, 99, 99, 99]);
    assert_eq!(root.info().unwrap().committed_private_bytes, 16 * PAGE, "they are all gone");
}

// ---- Mappings of them ----

#[test]
fn a_clone_can_be_mapped_anywhere_and_grown() {
    let region = Region::new(8);
    let root = written(4);
    let copy = child(&root, C::SNAPSHOT | C::RESIZABLE, 1, 2);
    let at = region.map(2, &copy, 0, 4, RW);
    assert_eq!([common::peek(at), common::peek(at + P)], [2, 3]);
    assert!(common::try_peek(at + 2 * P).is_err(), "past its end, although the parent has a page there");
    assert!(common::try_poke(at + 2 * P, 1).is_err());
    copy.set_size(3 * PAGE).unwrap();
    assert_eq!(common::peek(at + 2 * P), 0);
    common::poke(at + 2 * P, 5);
    common::poke(at, 6);
    assert_eq!((copy.read_to_object(2 * PAGE), copy.read_to_object(0)), (Ok(5_u8), Ok(6_u8)));
    assert_eq!(content(&root), [1, 2, 3, 4]);
    copy.set_size(PAGE).unwrap();
    assert!(common::try_peek(at + P).is_err());
    assert_eq!(common::peek(at), 6);
    // Shrinking the parent takes nothing from a mapping of the child.
    let root = count_up(empty_resizable(2));
    let copy = snapshot(&root);
    let at = region.map(6, &copy, 0, 2, RW);
    root.set_size(0).unwrap();
    assert_eq!([common::peek(at), common::peek(at + P)], [1, 2]);
}
