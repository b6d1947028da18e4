//! Files that are read in the thread that needs them, under a budget, written to and written back.

mod common;

use common::*;
use zxvm::VmarFlags;
use zxvm_pagers::PagerBuilder;

#[test]
fn ten_times_the_budget_is_written_to_by_four_threads_and_nothing_is_lost() {
    const PAGES: usize = 1280;
    zxvm::set_memory_budget(Some(PAGES as u64 / 10 * P)).unwrap();
    let content = pattern(PAGES * P as usize);
    over_files(&content, |name, backing, path| {
        let pager = PagerBuilder::new().in_place().open(backing).unwrap();
        let vmo = pager.vmo().unwrap();
        let words = map(&vmo, VmarFlags::PERM_READ | VmarFlags::PERM_WRITE);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (words, content) = (&words, &content);
                scope.spawn(move || {
                    for round in 0..2_u64 {
                        for page in (thread..PAGES).step_by(4) {
                            let (first, last) = (page * 512, page * 512 + 511);
                            if round == 0 {
                                assert_eq!(words.load(first), word(content, page as u64 * P), "{name}");
                            } else {
                                assert_eq!(words.load(first), page as u64, "{name}");
                            }
                            words.store(first, page as u64 + round);
                            words.store(last, !(page as u64));
                        }
                    }
                });
            }
        });
        assert!(zxvm::memory_stats().unwrap().resident <= PAGES as u64 / 10 * P);
        pager.writeback().unwrap();
        let saved = std::fs::read(path).unwrap();
        for page in 0..PAGES as u64 {
            assert_eq!(word(&saved, page * P), page + 1, "{name}");
            assert_eq!(word(&saved, page * P + 8), word(&content, page * P + 8), "{name}");
            assert_eq!(word(&saved, page * P + 4088), !page, "{name}");
        }
    });
}
