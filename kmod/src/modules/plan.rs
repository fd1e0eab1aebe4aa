//! From a module's name, or an alias, to the files that must be loaded, in order.

use std::collections::HashSet;

use super::{Aliases, Builtin, Config, Dependencies, module_name};

/// Soft dependencies of soft dependencies of …: kmod's own files nest twice.
const DEPTH: usize = 8;

/// The files of one kernel's module directory, as text.
#[derive(Debug, Default)]
pub struct Texts {
    /// `modules.dep`.
    pub dependencies: String,
    /// `modules.alias`; for a name like `symbol:…` also `modules.symbols`.
    pub aliases: String,
    /// `modules.builtin`.
    pub builtin: String,
}

/// All that is known about one kernel's modules.
#[derive(Debug)]
pub struct Database<'t> {
    dependencies: Dependencies<'t>,
    aliases: Aliases<'t>,
    builtin: Builtin,
    config: Config,
}

/// One file to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The kernel's name for the module.
    pub name: String,
    /// Its file, below the module directory.
    pub file: String,
    /// Parameters, separated by spaces.
    pub parameters: String,
    /// Whether what follows can do without it.
    pub optional: bool,
}

impl<'t> Database<'t> {
    /// Reads the files.
    #[must_use]
    pub fn new(texts: &'t Texts, config: Config) -> Self {
        Self {
            dependencies: Dependencies::parse(&texts.dependencies),
            aliases: Aliases::parse(&texts.aliases),
            builtin: Builtin::parse(&texts.builtin),
            config,
        }
    }

    /// The plans for a name or alias, one for each module that it means; `None` when nothing is known by it.
    ///
    /// The name of a built-in or disabled module has a plan without steps.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Vec<Vec<Step>>> {
        if let Some(plan) = self.module(name) {
            return Some(vec![plan]);
        }
        let modules = self.aliases.find(name);
        let allowed = modules.iter().filter(|module| !self.config.is_blacklisted(module));
        (!modules.is_empty()).then(|| allowed.filter_map(|module| self.module(module)).collect())
    }

    /// The plan for one module.
    fn module(&self, name: &str) -> Option<Vec<Step>> {
        let known = self.dependencies.files(name).is_some() || self.builtin.contains(name);
        known.then(|| {
            let mut steps = Vec::new();
            self.add(name, false, DEPTH, &mut HashSet::new(), &mut steps);
            steps
        })
    }

    fn add(
        &self,
        name: &str,
        optional: bool,
        depth: usize,
        seen: &mut HashSet<String>,
        steps: &mut Vec<Step>,
    ) {
        if depth == 0 || self.config.is_disabled(name) || self.builtin.contains(name) {
            return;
        }
        if !seen.insert(module_name(name)) {
            return;
        }
        let Some(files) = self.dependencies.files(name) else {
            // A soft dependency may be an alias (`crypto-md5`).
            for module in self.aliases.find(name) {
                self.add(module, optional, depth - 1, seen, steps);
            }
            return;
        };
        let names: Vec<String> = files.iter().map(|file| module_name(file)).collect();
        for soft in names.iter().flat_map(|module| self.config.soft(module, true)) {
            self.add(soft, true, depth - 1, seen, steps);
        }
        for (file, name) in files.into_iter().zip(&names) {
            match steps.iter_mut().find(|step| step.name == *name) {
                Some(step) => step.optional &= optional,
                None => steps.push(Step {
                    name: name.clone(),
                    file: file.to_owned(),
                    parameters: self.config.parameters(name),
                    optional,
                }),
            }
        }
        for soft in names.iter().flat_map(|module| self.config.soft(module, false)) {
            self.add(soft, true, depth - 1, seen, steps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        Texts {
            dependencies: "k/libata.ko.xz:\nk/ahci.ko.xz: k/libahci.ko.xz k/libata.ko.xz\nk/libahci.ko.xz: k/libata.ko.xz\n\
                k/nfsd.ko.xz: k/lockd.ko.xz\nk/lockd.ko.xz:\nk/md5.ko.xz:\nk/late.ko.xz:\nk/loop-a.ko:\nk/loop-b.ko:\n"
                .into(),
            aliases: "alias pci:v* ahci\nalias pci:v* nfsd\nalias crypto-md5 md5\nalias fs-ext4 ext4\nalias gone missing\n".into(),
            builtin: "kernel/fs/ext4/ext4.ko\n".into(),
        }
    }

    fn plans(name: &str, config: &str) -> Option<Vec<Vec<String>>> {
        let texts = texts();
        let mut read = Config::default();
        read.read(config);
        let plans = Database::new(&texts, read).resolve(name)?;
        let show = |step: Step| format!("{}{}", step.name, if step.optional { "?" } else { "" });
        Some(plans.into_iter().map(|plan| plan.into_iter().map(show).collect()).collect())
    }

    #[test]
    fn an_alias_means_every_module_that_claims_it_each_after_what_it_needs() {
        assert_eq!(plans("pci:v1", "").unwrap(), [vec!["libata", "libahci", "ahci"], vec!["lockd", "nfsd"]]);
    }

    #[test]
    fn a_module_in_the_kernel_has_nothing_to_load_and_an_unknown_name_has_no_plan() {
        let nothing = [Vec::<String>::new()];
        assert_eq!(plans("ext4", "").unwrap(), nothing);
        assert_eq!(plans("fs-ext4", "").unwrap(), nothing);
        assert_eq!(plans("nope", ""), None);
    }

    #[test]
    fn soft_dependencies_are_loaded_around_and_are_optional() {
        let soft = "softdep nfsd pre: crypto-md5 nope post: late";
        assert_eq!(plans("nfsd", soft).unwrap(), [["md5?", "lockd", "nfsd", "late?"]]);
    }

    #[test]
    fn soft_dependencies_in_a_circle_end() {
        let circle = "softdep loop_a pre: loop_b\nsoftdep loop_b pre: loop_a";
        assert_eq!(plans("loop-a", circle).unwrap(), [["loop_b?", "loop_a"]]);
    }

    #[test]
    fn a_blacklisted_module_is_loaded_by_name_but_not_by_alias_and_a_disabled_one_never() {
        assert_eq!(plans("pci:v1", "blacklist ahci").unwrap(), [["lockd", "nfsd"]]);
        assert_eq!(plans("md5", "blacklist md5").unwrap(), [["md5"]]);
        assert_eq!(plans("md5", "install md5 /bin/false").unwrap(), [Vec::<String>::new()]);
    }
}
