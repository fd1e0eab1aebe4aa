//! `lkb inspect`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::built::{self, Built};
use super::source::{self, Fault, SourceError};
use super::{Context, Outcome, SUCCESS};
use crate::inventory::{Inventory, Item, Share};

/// Show what is in an image, by where it comes from and by size
///
/// Of configurations, the machine is assembled as `lkb build` does it, and nothing is written. One FILE may be what was built: a
/// disk (raw, qcow2), a CD, an EFI program, an initrd, a file system or an uncompressed tar archive, which is shown by the places in
/// it; or an image: by its name with a tag or a digest, in an archive, or in a directory (an OCI layout), which is taken into the
/// cache, as builds do it. Sizes are those of the files, before anything is compressed.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The largest items first, instead of the order of the image
    #[arg(long)]
    pub by_size: bool,

    /// The architecture of configurations and images
    #[arg(long, default_value = super::host_arch())]
    pub arch: String,

    /// Ask the registries for images that the cache does not have
    #[arg(long)]
    pub pull: bool,

    /// The configurations, merged from left to right, or something that was built; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let mut inventory = inventory(options, context)?;
    if options.by_size {
        inventory.items.sort_by_key(|item| std::cmp::Reverse(item.share.bytes));
    }
    show(&inventory, context)
}

fn inventory(
    options: &Options,
    context: &Context,
) -> Result<Inventory, Box<dyn std::error::Error + Send + Sync>> {
    let list = |built| built::list(&options.files[0], &built, &options.arch, options.pull, context);
    if let [word] = options.files.as_slice()
        && word != Path::new("-")
        && !source::is_url(word)
        && let Some(built @ (Built::Image(_) | Built::Name(_))) = built::named(word)?
    {
        return Ok(Inventory::of_listing(&list(built)?));
    }
    match source::read_all(&options.files, &context.certificates) {
        Ok(sources) => {
            let mut config = context.load(&sources)?;
            let machine = context.assemble(&mut config, &options.arch, options.pull)?;
            Ok(Inventory::of(&machine, &config)?)
        }
        // No text: it is something that was built.
        Err(SourceError { fault: Fault::Large | Fault::NotText { .. }, .. }) if options.files.len() == 1 => {
            Ok(Inventory::of_listing(&list(Built::File)?))
        }
        Err(error) => Err(error.into()),
    }
}

fn show(inventory: &Inventory, context: &Context) -> Outcome {
    if context.terminal.is_json() {
        context.terminal.print(serde_json::to_string_pretty(inventory)?)?;
        return SUCCESS;
    }
    let bold = std::io::stdout().is_terminal() && context.terminal.in_colour();
    for (index, line) in table(inventory).into_iter().enumerate() {
        match (bold, index) {
            (true, 0) => context.terminal.print(format_args!("\x1b[1m{line}\x1b[0m"))?,
            _ => context.terminal.print(line)?,
        }
    }
    SUCCESS
}

/// The lines, the heading first.
fn table(inventory: &Inventory) -> Vec<String> {
    let total = inventory.total;
    let mut rows = vec![["ITEM".into(), "IMAGE".into(), "FILES".into(), "SIZE".into(), "SHARE".into()]];
    rows.extend(
        inventory.items.iter().map(|item| row(&title(item), item.image.as_deref(), item.share, total)),
    );
    rows.push(row("total", None, total, total));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let [w0, w1, w2, w3, w4] = widths;
    let mut lines: Vec<String> = rows
        .iter()
        .map(|[a, b, c, d, e]| format!("{a:<w0$}  {b:<w1$}  {c:>w2$}  {d:>w3$}  {e:>w4$}"))
        .collect();
    let Share { files, bytes } = inventory.copies;
    if files > 0 {
        let rest = human(total.bytes - bytes);
        let line = "with equal files of several items counted once";
        lines.push(format!("{line}: {rest} ({files} copies, {} less)", human(bytes)));
    }
    lines
}

fn title(item: &Item) -> String {
    match &item.name {
        Some(name) => format!("{} {name}", item.item),
        None => item.item.clone(),
    }
}

fn row(title: &str, image: Option<&str>, share: Share, total: Share) -> [String; 5] {
    // In tenths of a percent, rounded; a machine without a byte has no shares.
    let tenths =
        (u128::from(share.bytes) * 2000 + u128::from(total.bytes)) / (2 * u128::from(total.bytes.max(1)));
    let percent = format!("{}.{} %", tenths / 10, tenths % 10);
    [title.to_owned(), image.unwrap_or("-").to_owned(), share.files.to_string(), human(share.bytes), percent]
}

/// A size with three digits or so.
fn human(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000_u64), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => {
            let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1049, "1.0 kB"),
            (1050, "1.1 kB"),
            (999_999, "1000.0 kB"),
            (12_345_678, "12.3 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn columns_are_aligned_and_shares_add_up() {
        let share = |files, bytes| Share { files, bytes };
        let item = |item: &str, name: Option<&str>, image: Option<&str>, share| Item {
            item: item.into(),
            name: name.map(Into::into),
            image: image.map(Into::into),
            share,
        };
        let inventory = Inventory {
            items: vec![
                item("kernel", None, Some("k:1"), share(2, 7_000)),
                item("services[0]", Some("s"), Some("example/s:1"), share(12, 2_000)),
                item("files", None, None, share(1, 1_000)),
            ],
            total: share(15, 10_000),
            copies: share(3, 500),
        };
        assert_eq!(
            table(&inventory),
            [
                "ITEM           IMAGE        FILES     SIZE    SHARE",
                "kernel         k:1              2   7.0 kB   70.0 %",
                "services[0] s  example/s:1     12   2.0 kB   20.0 %",
                "files          -                1   1.0 kB   10.0 %",
                "total          -               15  10.0 kB  100.0 %",
                "with equal files of several items counted once: 9.5 kB (3 copies, 500 B less)",
            ]
        );
    }
}
