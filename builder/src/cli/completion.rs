//! `lkb completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Context, Outcome, SUCCESS};

/// Print the completion of a shell
///
/// bash: lkb completion bash >/etc/bash_completion.d/lkb
///
/// zsh: lkb completion zsh >/usr/local/share/zsh/site-functions/_lkb
///
/// fish: lkb completion fish >~/.config/fish/completions/lkb.fish
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    context.terminal.answer(&script(options.shell))?;
    SUCCESS
}

fn script(shell: Shell) -> Vec<u8> {
    // In memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lkb", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_completes_every_subcommand_and_always_in_the_same_way() {
        for shell in Shell::value_variants() {
            let text = String::from_utf8(script(*shell)).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            assert!(text.contains("dry-run"), "{shell}");
            assert_eq!(text.as_bytes(), script(*shell));
        }
    }
}
