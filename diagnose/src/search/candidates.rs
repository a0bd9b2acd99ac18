//! A set of patterns, in their order.

/// One bit for each pattern.
pub(crate) struct Candidates(Vec<u64>);

impl Candidates {
    pub(crate) fn new(patterns: usize) -> Self {
        Self(vec![0; patterns.div_ceil(64)])
    }

    pub(crate) fn extend(&mut self, patterns: impl IntoIterator<Item = usize>) {
        for pattern in patterns {
            self.0[pattern / 64] |= 1 << (pattern % 64);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order() {
        let mut candidates = Candidates::new(130);
        candidates.extend([129, 0, 64, 63, 64]);
        assert_eq!(candidates.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        candidates.clear();
        assert_eq!(candidates.iter().count(), 0);
    }
}
