//! The least memory that is enough: a search in steps, two machines at a time.

/// Steps, in MiB.
pub const STEP: u32 = 8;

/// Finds the least multiple of [`STEP`] in `low..=high` that is `enough`; `None` when not even `high` is.
///
/// Asks for two amounts at a time, which are tried side by side.
///
/// # Errors
/// Those of `enough`.
pub fn least<E: Send>(
    low: u32,
    high: u32,
    enough: impl Fn(u32) -> Result<bool, E> + Sync,
) -> Result<Option<u32>, E> {
    // What is too little, and what is enough, in steps.
    let (mut little, mut plenty) = (low / STEP - 1, high / STEP + 1);
    while plenty - little > 1 {
        let third = (plenty - little).div_ceil(3);
        let (a, b) = (little + third, (little + 2 * third).min(plenty - 1));
        let (first, second) = std::thread::scope(|scope| {
            let other = (a != b).then(|| scope.spawn(|| enough(b * STEP)));
            let first = enough(a * STEP);
            (
                first,
                other.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            )
        });
        let second = second.transpose()?;
        match (first?, second) {
            (true, _) => plenty = a,
            (false, Some(true)) => (little, plenty) = (a, b),
            (false, _) => little = b,
        }
    }
    Ok((plenty * STEP <= high).then_some(plenty * STEP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn every_threshold_is_found_with_few_trials() {
        for threshold in (24..=264).step_by(8) {
            let trials = AtomicU32::new(0);
            let found = least(24, 256, |mib| {
                trials.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(mib >= threshold)
            });
            assert_eq!(found, Ok((threshold <= 256).then_some(threshold)));
            assert!(trials.into_inner() <= 8, "{threshold}");
        }
    }

    #[test]
    fn a_trial_that_cannot_be_made_is_an_error() {
        assert_eq!(least(24, 64, |_| Err("no qemu")), Err("no qemu"));
    }
}
