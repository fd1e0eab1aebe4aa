//! `modules.devname`: device nodes whose first open loads the module: lines of `MODULE NAME cMAJOR:MINOR`.

/// A device node that exists before its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNode {
    /// Path below `/dev`.
    pub name: String,
    /// A block device rather than a character device.
    pub block: bool,
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
}

/// Reads the file's text; other lines are skipped, and so are names that leave `/dev`.
pub fn static_nodes(text: &str) -> impl Iterator<Item = StaticNode> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (_module, name, device) = (words.next()?, words.next()?, words.next()?);
        let (kind, numbers) = device.split_at_checked(1)?;
        let (major, minor) = numbers.split_once(':')?;
        let inside = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let block = match kind {
            "c" => false,
            "b" => true,
            _ => return None,
        };
        inside.then_some(())?;
        Some(StaticNode {
            name: name.to_owned(),
            block,
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_are_read_and_nonsense_is_skipped() {
        let text = "# Device nodes\ntun net/tun c10:200\nloop loop-control c10:237\nmd md0 b9:0\n\
            a ../x c1:1\nb /y c1:1\nc z x1:1\nd w c1\ne\n\n";
        let nodes: Vec<_> = static_nodes(text).map(|n| (n.name, n.block, n.major, n.minor)).collect();
        assert_eq!(
            nodes,
            [
                ("net/tun".into(), false, 10, 200),
                ("loop-control".into(), false, 10, 237),
                ("md0".into(), true, 9, 0)
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "([a-z]{0,3} [a-z/.]{0,5} .{0,6}\n){0,4}") {
            static_nodes(&text).for_each(drop);
        }
    }
}
