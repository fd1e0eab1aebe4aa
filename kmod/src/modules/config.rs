//! What the operator says about modules: `/etc/modprobe.d/*.conf` (modprobe.d(5)) and the kernel's command line.

use crate::cmdline::{Cmdline, same_name};

/// Options, exclusions and soft dependencies of modules.
///
/// | line | effect |
/// | --- | --- |
/// | `options MODULE NAME=VALUE…` | parameters when it is loaded; also `MODULE.NAME=VALUE` on the command line |
/// | `blacklist MODULE` | no alias loads it; also `modprobe.blacklist=A,B` on the command line |
/// | `install MODULE /bin/false` (or `true`) | nothing loads it |
/// | `softdep MODULE pre: … post: …` | others that are loaded before and after it, if they can be |
#[derive(Debug, Default)]
pub struct Config {
    options: Vec<(String, String)>,
    blacklist: Vec<String>,
    disabled: Vec<String>,
    soft: Vec<Soft>,
}

#[derive(Debug, PartialEq, Eq)]
struct Soft {
    module: String,
    pre: Vec<String>,
    post: Vec<String>,
}

impl Config {
    /// Reads one file's text, after those read before; `modules.softdep` is such a file too.
    pub fn read(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines() {
            let mut words = line.split_whitespace();
            let (Some(command), Some(module)) = (words.next(), words.next()) else { continue };
            let module = module.to_owned();
            match command {
                "options" => self.options.push((module, words.collect::<Vec<_>>().join(" "))),
                "blacklist" => self.blacklist.push(module),
                "softdep" => self.soft.push(Soft::parse(module, words)),
                "install" if words.next().is_some_and(|p| p.ends_with("/false") || p.ends_with("/true")) => {
                    self.disabled.push(module);
                }
                _ => {}
            }
        }
    }

    /// Reads the kernel's command line.
    pub fn read_cmdline(&mut self, cmdline: &Cmdline) {
        for list in cmdline.values("modprobe.blacklist") {
            self.blacklist.extend(list.split(',').map(str::to_owned));
        }
        for word in cmdline.words() {
            let Some((module, parameter)) = word.name.split_once('.') else { continue };
            if module == "modprobe" || module.is_empty() || parameter.is_empty() {
                continue;
            }
            let option = match &word.value {
                Some(value) if value.contains(' ') => format!("{parameter}=\"{value}\""),
                Some(value) => format!("{parameter}={value}"),
                None => parameter.to_owned(),
            };
            self.options.push((module.to_owned(), option));
        }
    }

    /// The parameters for a module, separated by spaces; the command line's come last and win.
    #[must_use]
    pub fn parameters(&self, module: &str) -> String {
        let own = self.options.iter().filter(|(name, _)| same_name(name, module));
        own.map(|(_, option)| option.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether no alias may load a module.
    #[must_use]
    pub fn is_blacklisted(&self, module: &str) -> bool {
        self.is_disabled(module) || self.blacklist.iter().any(|name| same_name(name, module))
    }

    /// Whether nothing may load a module.
    #[must_use]
    pub fn is_disabled(&self, module: &str) -> bool {
        self.disabled.iter().any(|name| same_name(name, module))
    }

    /// What is loaded before (`true`) or after a module, if it can be.
    pub(super) fn soft(&self, module: &str, before: bool) -> impl Iterator<Item = &str> {
        let own = self.soft.iter().filter(move |soft| same_name(&soft.module, module));
        own.flat_map(move |soft| if before { &soft.pre } else { &soft.post }).map(String::as_str)
    }
}

impl Soft {
    /// Words before the first `pre:` or `post:` mean nothing, as in kmod.
    fn parse<'t>(module: String, words: impl Iterator<Item = &'t str>) -> Self {
        let mut soft = Self { module, pre: Vec::new(), post: Vec::new() };
        let mut list: Option<bool> = None;
        for word in words {
            match (word, list) {
                ("pre:", _) => list = Some(true),
                ("post:", _) => list = Some(false),
                (name, Some(true)) => soft.pre.push(name.to_owned()),
                (name, Some(false)) => soft.post.push(name.to_owned()),
                (_, None) => {}
            }
        }
        soft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(text: &str, cmdline: &str) -> Config {
        let mut config = Config::default();
        config.read(text);
        config.read_cmdline(&Cmdline::parse(cmdline));
        config
    }

    #[test]
    fn parameters_come_from_files_and_then_from_the_command_line() {
        let config = config(
            "options virtio-net a=1 \\\n b=2\n# options virtio_net c=3\n",
            "virtio_net.b=4 x.y quiet .z a.=1",
        );
        assert_eq!(config.parameters("virtio_net"), "a=1 b=2 b=4");
        assert_eq!(config.parameters("x"), "y");
        assert_eq!(config.parameters("quiet"), "");
    }

    #[test]
    fn a_value_with_spaces_stays_one_parameter() {
        assert_eq!(config("", "dyndbg.x=\"a b\"").parameters("dyndbg"), "x=\"a b\"");
    }

    #[test]
    fn a_blacklisted_module_is_not_disabled_but_a_disabled_one_is_blacklisted() {
        let config = config(
            "blacklist pcspkr\ninstall usb-storage /bin/false\ninstall x /sbin/y\n",
            "modprobe.blacklist=a,b-c",
        );
        assert!(config.is_blacklisted("pcspkr") && !config.is_disabled("pcspkr"));
        assert!(config.is_blacklisted("usb_storage") && config.is_disabled("usb_storage"));
        assert!(config.is_blacklisted("b_c") && !config.is_blacklisted("x"));
    }

    #[test]
    fn soft_dependencies_stand_before_and_after() {
        let config = config("softdep nfsd pre: crypto-md5 x post: y\nsoftdep cifs gcm\n", "");
        assert_eq!(config.soft("nfsd", true).collect::<Vec<_>>(), ["crypto-md5", "x"]);
        assert_eq!(config.soft("nfsd", false).collect::<Vec<_>>(), ["y"]);
        assert_eq!(config.soft("cifs", true).count() + config.soft("cifs", false).count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((options|softdep|install|blacklist) .{0,12}\n){0,5}", line in ".*", name in ".*") {
            let config = config(&text, &line);
            std::hint::black_box(config.parameters(&name));
            std::hint::black_box(config.is_blacklisted(&name));
        }
    }
}
