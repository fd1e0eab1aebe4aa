//! `lkb serve`.

use std::path::PathBuf;

use super::{Context, Outcome, SUCCESS};
use crate::serve::Server;

/// Serve a directory over HTTP, for machines that boot from the network
///
/// Whoever reaches the port can read everything in the directory; links that lead out of it are not followed.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where to listen: [ADDRESS]:PORT
    #[arg(long, default_value = ":8080", value_name = "ADDRESS")]
    pub port: String,

    /// What is served
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let server = Server::open(&options.port, &options.directory)?;
    context.terminal.note(format_args!(
        "serving {} on http://{}/",
        options.directory.display(),
        server.address()
    ));
    let terminal = context.terminal.clone();
    server.run(&move |line| terminal.note(line));
    SUCCESS
}
