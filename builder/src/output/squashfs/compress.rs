//! Blocks through zstd, on all cores, in order.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// To compare with, all at once.
static ZEROS: [u8; super::BLOCK] = [0; super::BLOCK];
/// Blocks that wait for a core or for their turn to be written, for each core.
const AHEAD: usize = 8;
/// Beyond this level blocks of this size hardly become smaller, and take far longer.
const LEVEL: i32 = 12;

/// Compresses one block after another.
pub(super) struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    pub(super) fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }

    /// The compressed block, when it is smaller than the block itself.
    pub(super) fn smaller(&mut self, block: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let compressed = self.0.compress(block)?;
        Ok((compressed.len() < block.len()).then_some(compressed))
    }
}

/// A block as it goes into the image.
#[derive(Debug)]
pub(super) enum Block {
    /// Nothing but zeros, of which nothing is stored.
    Zeros,
    /// Compressed.
    Compressed(Vec<u8>),
    /// As it is: compression would not make it smaller.
    Stored(Vec<u8>),
}

fn pack(compressor: &mut Compressor, Job { block, sparse, .. }: Job) -> io::Result<Block> {
    if sparse && block == ZEROS[..block.len()] {
        return Ok(Block::Zeros);
    }
    Ok(match compressor.smaller(&block)? {
        Some(compressed) => Block::Compressed(compressed),
        None => Block::Stored(block),
    })
}

/// A block on its way to a core.
struct Job {
    number: u64,
    block: Vec<u8>,
    /// Whether zeros need not be stored.
    sparse: bool,
}

/// Takes blocks in order, each with what it is for, and gives them back in the same order.
pub(super) struct Queue<T> {
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<(u64, io::Result<Block>)>,
    /// What blocks are for that are under way, the oldest first.
    purposes: VecDeque<(u64, T)>,
    /// Blocks that are ready before their turn.
    early: BTreeMap<u64, io::Result<Block>>,
    next: u64,
    limit: usize,
}

impl<T> Queue<T> {
    /// Runs `work` with a queue whose threads, `cores` of them, end with it.
    pub(super) fn run<R>(cores: usize, work: impl FnOnce(&mut Self) -> R) -> R {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let (sender, done) = mpsc::channel();
        let waiting = Mutex::new(waiting);
        thread::scope(|scope| {
            for _ in 0..cores {
                let (sender, waiting) = (sender.clone(), &waiting);
                scope.spawn(move || {
                    let mut compressor = Compressor::new();
                    loop {
                        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(job) = job else { return };
                        let number = job.number;
                        let packed = match &mut compressor {
                            Ok(compressor) => pack(compressor, job),
                            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                        };
                        // Nobody listens any more after an error.
                        if sender.send((number, packed)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let (purposes, early) = (VecDeque::new(), BTreeMap::new());
            let mut queue = Self { jobs, done, purposes, early, next: 0, limit: cores * AHEAD };
            // The queue ends before the threads are waited for: then there are no more jobs.
            let result = work(&mut queue);
            drop(queue);
            result
        })
    }

    /// Adds a block, of which nothing is stored when it is `sparse` and has only zeros; [`Self::full`] says when others must be
    /// taken first.
    pub(super) fn add(&mut self, purpose: T, block: Vec<u8>, sparse: bool) -> io::Result<()> {
        let number = self.next;
        self.next += 1;
        self.purposes.push_back((number, purpose));
        self.jobs
            .send(Job { number, block, sparse })
            .map_err(|_| io::Error::other("the compressing threads have ended"))
    }

    /// Whether as many blocks are under way as are to be held in memory.
    pub(super) fn full(&self) -> bool {
        self.purposes.len() >= self.limit
    }

    /// The oldest block, when it is ready; `None` when there are no more.
    pub(super) fn take(&mut self) -> io::Result<Option<(T, Block)>> {
        let Some((number, purpose)) = self.purposes.pop_front() else { return Ok(None) };
        loop {
            if let Some(block) = self.early.remove(&number) {
                return Ok(Some((purpose, block?)));
            }
            let received = self.done.recv();
            let (number, block) = received.map_err(|_| io::Error::other("a compressing thread has ended"))?;
            self.early.insert(number, block);
        }
    }
}
