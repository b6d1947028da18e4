//! What a VMO tells about itself.

use zxvm_host::{PAGE_SIZE, VmoRange};
use zxvm_types::Status;

use super::family::Locked;
use super::{CachePolicy, Shows, Vmo, VmoKind};

/// A VMO at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmoInfo {
    /// Which one.
    pub koid: u64,
    /// Its name.
    pub name: [u8; 32],
    /// Its kind.
    pub kind: VmoKind,
    /// Bytes.
    pub size: u64,
    /// The VMO it was made of, or the nearest one above that is still there; 0 if none.
    pub parent_koid: u64,
    /// How many VMOs name it as their parent.
    pub num_children: u64,
    /// Whether it was made as a snapshot and has a parent still.
    pub is_clone: bool,
    /// Whether a pager provides its pages, or those of what it was made of.
    pub pager_backed: bool,
    /// How many mappings show it.
    pub num_mappings: u64,
    /// How it is cached.
    pub cache_policy: CachePolicy,
    /// The memory its content uses; nothing for slices and references.
    pub memory: Attribution,
    /// Bytes of memory used to describe it; 0 while nothing is committed.
    pub metadata_bytes: u64,
    /// How often the system took pages away.
    pub losses: u64,
}

/// Memory as it is shared out among those who use it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// All that is used.
    pub committed: u64,
    /// What nobody else uses.
    pub private: u64,
    /// Each page divided by the number of its users; the sum cut off.
    pub scaled: u64,
    /// What was cut off: 2^63 is one byte.
    pub scaled_fraction: u64,
}

/// Counts pages by how many use them.
#[derive(Debug, Default)]
struct Tally(Vec<(u32, u64)>);

impl Tally {
    fn add(&mut self, users: u32, bytes: u64) {
        match self.0.iter_mut().find(|(n, _)| *n == users) {
            Some((_, sum)) => *sum += bytes,
            None => self.0.push((users, bytes)),
        }
    }

    fn share_out(&self) -> Attribution {
        let mut sum = Attribution::default();
        let mut fraction = 0_u128;
        for &(users, bytes) in &self.0 {
            sum.committed += bytes;
            if users == 1 {
                sum.private += bytes;
            }
            let users = u64::from(users);
            sum.scaled += bytes / users;
            fraction += (u128::from(bytes % users) << 63) / u128::from(users);
        }
        sum.scaled += (fraction >> 63) as u64;
        sum.scaled_fraction = fraction as u64 & (u64::MAX >> 1);
        sum
    }
}

impl Vmo {
    /// Everything about it; the committed bytes are counted by the host at this moment.
    ///
    /// # Errors
    /// What the host gives.
    ///
    /// Source: vmo.md §10.
    pub fn info(&self) -> Result<VmoInfo, Status> {
        let content = &mut self.lock();
        let owner = self.shows == Shows::Whole && !self.is_reference(content);
        let whole = content.whole();
        let memory = if owner { self.attribution(content, whole)? } else { Attribution::default() };
        let family = content.family();
        let node = &family.nodes[self.node as usize];
        Ok(VmoInfo {
            koid: self.koid,
            name: node.name(),
            kind: self.kind,
            size: self.size_in(content),
            parent_koid: node.parent.map_or(0, |parent| family.nodes[parent as usize].koid),
            num_children: u64::from(node.children),
            is_clone: node.clone,
            pager_backed: family.source.is_some(),
            num_mappings: u64::from(node.num_mappings),
            cache_policy: content.cache_policy,
            memory,
            metadata_bytes: if memory.committed == 0 { 0 } else { content.extents.metadata_bytes() },
            losses: u64::from(content.losses),
        })
    }

    /// Whether it is a second name of another one's content.
    pub fn is_a_reference(&self) -> bool {
        self.is_reference(&self.lock())
    }

    /// Bytes in memory that its pager has to save; nothing for others than pagers' own VMOs.
    pub fn dirty_bytes(&self) -> u64 {
        let content = self.lock();
        match content.paged() {
            Some(source) if source.koid == self.koid => {
                let dirty = source.states.dirty(content.whole());
                dirty.iter().filter(|run| !run.is_zero).map(|run| run.range.len()).sum()
            }
            Some(_) | None => 0,
        }
    }

    /// Bytes of memory that `range`, as far as it is inside, uses.
    ///
    /// # Errors
    /// What the host gives.
    pub fn committed_bytes_in(&self, range: VmoRange) -> Result<u64, Status> {
        let content = &mut self.lock();
        let size = VmoRange::from_bounds(0, self.size_in(content));
        let Some(inside) = range.intersect(size) else { return Ok(0) };
        Ok(self.attribution(content, self.in_content(inside))?.committed)
    }

    fn is_reference(&self, content: &Locked<'_>) -> bool {
        content.family().nodes[self.node as usize].reference
    }

    /// How the memory of `range`, as far as it is inside, is shared out.
    pub(crate) fn attribution(&self, content: &mut Locked<'_>, range: VmoRange) -> Result<Attribution, Status> {
        let mut tally = Tally::default();
        self.committed_in(content, range, &mut |run, users| tally.add(users, run.len()))?;
        debug_assert!(tally.0.iter().all(|(users, bytes)| *users > 0 && bytes.is_multiple_of(PAGE_SIZE)));
        Ok(tally.share_out())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_add_up_to_whole_bytes() {
        let mut tally = Tally::default();
        tally.add(3, PAGE_SIZE);
        let third = Attribution { committed: PAGE_SIZE, private: 0, scaled: 1365, scaled_fraction: (1 << 63) / 3 };
        assert_eq!(tally.share_out(), third);
        tally.add(3, 2 * PAGE_SIZE);
        tally.add(1, PAGE_SIZE);
        let all =
            Attribution { committed: 4 * PAGE_SIZE, private: PAGE_SIZE, scaled: 2 * PAGE_SIZE, scaled_fraction: 0 };
        assert_eq!(tally.share_out(), all);
    }
}
