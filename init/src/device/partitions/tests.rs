use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const SIZE: u64 = 16 << 20;

/// A disk with a table that sfdisk made.
fn disk(script: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(SIZE).unwrap();
    let child =
        Command::new("/usr/sbin/sfdisk").arg("--quiet").arg(file.path()).stdin(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("sfdisk (see tools/deps): {error}"));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "sfdisk: {script}");
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    file.as_file().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn reader(bytes: &[u8]) -> impl FnMut(u64, usize) -> Vec<u8> {
    move |offset, length| {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
    }
}

fn read(bytes: &[u8]) -> Option<Table> {
    table(512, SIZE / 512, &mut reader(bytes))
}

const GPT: &str = "label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\n\
    size=1M, uuid=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=\"EFI System\"\n\
    size=1M, uuid=0B6E7A92-9B1C-4D0F-8F0E-00112233AABB\n";

fn partition(uuid: &str, label: Option<&str>) -> Partition {
    Partition { uuid: Some(uuid.into()), label: label.map(str::to_owned) }
}

#[test]
fn a_gpt_names_its_partitions_as_the_kernel_does() {
    let table = read(&disk(GPT)).unwrap();
    assert_eq!(table.kind(), "gpt");
    assert_eq!(table.partition(1), partition("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", Some("EFI System")));
    assert_eq!(table.partition(2), partition("0b6e7a92-9b1c-4d0f-8f0e-00112233aabb", None));
    assert_eq!(table.partition(3), Partition::default());
}

#[test]
fn a_damaged_gpt_is_read_from_its_copy_at_the_end() {
    let whole = disk(GPT);
    let expected = read(&whole);
    for at in [512, 512 + 72, 1024, 1024 + 56] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        assert_eq!(read(&bytes), expected, "{at}");
        let end = bytes.len();
        bytes[end - 512] ^= 0xff;
        assert_eq!(read(&bytes), None, "both copies are damaged");
    }
}

#[test]
fn a_dos_table_names_its_partitions_by_signature_and_number() {
    let table = read(&disk("label: dos\nlabel-id: 0x1234abcd\nsize=1M, type=83\n")).unwrap();
    assert_eq!(table.kind(), "dos");
    assert_eq!(table.partition(1), partition("1234abcd-01", None));
    assert_eq!(table.partition(12), partition("1234abcd-0c", None));
}

#[test]
fn what_is_no_table_is_none() {
    let mut boot_sector = vec![0; 4096];
    boot_sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut code = boot_sector.clone();
    code[446..500].fill(b'x');
    for bytes in [vec![], vec![0; 511], vec![0; 4096], boot_sector, code] {
        assert_eq!(read(&bytes), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hostile_header_with_right_checksums_is_no_panic(
        fields in prop::collection::vec(any::<u8>(), 80),
        place in 12usize..92,
        sector in prop::sample::select(vec![512u64, 4096, 0, u64::MAX]),
        sectors in any::<u64>(),
    ) {
        let mut bytes = vec![0u8; 8192];
        bytes[446 + 4] = 0xee;
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        let at = if sector == 4096 { 4096 } else { 512 };
        bytes[at..at + 8].copy_from_slice(b"EFI PART");
        bytes[at + 12..at + 16].copy_from_slice(&92u32.to_le_bytes());
        bytes[at + 24..at + 32].copy_from_slice(&1u64.to_le_bytes());
        for (offset, byte) in (place..92).zip(&fields) {
            bytes[at + offset] = *byte;
        }
        bytes[at + 16..at + 20].fill(0);
        let sum = crc32::crc32(&bytes[at..at + 92]);
        bytes[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
        let mut reads = 0usize;
        let mut source = reader(&bytes);
        std::hint::black_box(table(sector, sectors, &mut |offset, length| {
            reads = reads.saturating_add(length);
            source(offset, length)
        }));
        prop_assert!(reads <= 2 * (512 * 1024 + 4096) + 512, "{reads} bytes were asked for");
    }
}
