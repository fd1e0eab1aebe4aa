//! Random numbers that come again with the same seed.

/// A generator (xorshift64*, Vigna 2016).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Seeded with `LK_FAULTS_SEED` and a number of the test's own.
    pub fn new(salt: u64) -> Self {
        let seed = std::env::var("LK_FAULTS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        println!("LK_FAULTS_SEED={seed}");
        let mut dice = Self((seed ^ (salt << 32)) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        dice
    }

    /// A number from 0 to `limit` - 1.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).expect("31 bits") % limit
    }

    /// `count` different items, in random order.
    pub fn pick<T: Clone>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut left = items.to_vec();
        (0..count.min(items.len())).map(|_| left.remove(self.below(left.len()))).collect()
    }
}

#[test]
fn the_same_seed_is_the_same_order_and_nothing_is_picked_twice() {
    let picked = |salt| Dice::new(salt).pick(&[1, 2, 3, 4, 5, 6, 7, 8], 5);
    assert_eq!(picked(1), picked(1));
    assert_ne!(picked(1), picked(2));
    let mut sorted = picked(3);
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 5);
}
