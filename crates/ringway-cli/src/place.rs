//! Where names are looked up.

use std::path::PathBuf;

use clap::{Args, value_parser};
use ringway::Names;

/// Where names are looked up.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory of names.
    #[arg(long, value_name = "DIR", env = "RINGWAY_DIR", default_value = "/dev/shm", value_parser = value_parser!(PathBuf))]
    dir: PathBuf,
}

impl Place {
    pub(crate) fn names(&self) -> Names {
        Names::in_dir(&self.dir)
    }
}
