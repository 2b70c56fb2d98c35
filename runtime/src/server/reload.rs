//! Other settings without a restart: on a signal, when a file changes, and when an operator asks.
//!
//! New settings are read and made ready as a whole before any worker sees them; what is wrong with them changes
//! nothing and is said. Requests that run keep the settings that they began with.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::config::Settings;
use crate::gateway::{Gateway, Shared};
use crate::observe::metrics;

/// A file is read once nothing has happened to it for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// It is read after so long in any case.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most changes of files that wait.
const MAX_WAITING: usize = 16;

/// Where settings come from.
pub struct Source {
    /// Reads and resolves them.
    pub load: Box<dyn Fn() -> anyhow::Result<Settings> + Send>,
    /// The configuration file, where there is one.
    pub file: Option<PathBuf>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What the workers serve with, and how it is changed.
#[derive(Debug)]
pub(super) struct Reload {
    source: Source,
    shared: Arc<ArcSwap<Shared>>,
    workers: Vec<Arc<ArcSwap<Gateway>>>,
    /// None where files cannot be watched: a signal still changes the settings.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    changes: mpsc::Receiver<()>,
    hasher: RandomState,
    seen: u64,
}

impl Reload {
    /// Begins to watch the files that the settings came from.
    pub(super) fn new(
        source: Source,
        shared: Arc<ArcSwap<Shared>>,
        workers: Vec<Arc<ArcSwap<Gateway>>>,
    ) -> Self {
        let (tell, changes) = mpsc::channel(MAX_WAITING);
        // A full queue has news enough.
        let told = move |_: notify::Result<notify::Event>| {
            let _ = tell.try_send(());
        };
        let watcher = source.file.as_ref().and_then(|_| {
            let made = notify::recommended_watcher(told);
            made.inspect_err(|error| tracing::warn!(%error, "the configuration cannot be watched")).ok()
        });
        let hasher = RandomState::new();
        let mut reload =
            Self { source, shared, workers, watcher, folders: BTreeSet::new(), changes, hasher, seen: 0 };
        reload.watch();
        reload.seen = reload.fingerprint();
        reload
    }

    /// Waits until a file has changed what it says; for ever where none is watched.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.changes.recv().await.is_none() {
                return std::future::pending().await;
            }
            let by = tokio::time::Instant::now() + PATIENCE;
            while tokio::time::Instant::now() < by {
                match tokio::time::timeout(QUIET, self.changes.recv()).await {
                    Ok(Some(())) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            if self.fingerprint() != self.seen {
                return;
            }
        }
    }

    /// Reads the settings again and serves with them; how often they were changed by now.
    ///
    /// # Errors
    /// What is wrong with them; then nothing changes.
    pub(super) fn reload(&mut self, why: &'static str) -> Result<usize, String> {
        self.seen = self.fingerprint();
        let result = self.apply();
        match &result {
            Ok(changes) => tracing::info!(why, changes, "the configuration was read again"),
            Err(error) => tracing::error!(why, error, "the configuration was not changed"),
        }
        metrics::count_reload(result.is_ok());
        result
    }

    fn apply(&mut self) -> Result<usize, String> {
        let settings = (self.source.load)().map_err(|error| format!("{error:#}"))?;
        let before = self.shared.load_full();
        for (field, differs) in [
            ("listen", settings.listen != before.settings.listen),
            ("admin.listen", settings.admin_listen != before.settings.admin_listen),
            ("workers", settings.workers != before.settings.workers),
        ] {
            if differs {
                tracing::warn!(field, "takes effect with the next start alone");
            }
        }
        let shared = Arc::new(before.changed(Arc::new(settings)));
        // All of them before any is used, so that what cannot be made ready changes nothing.
        let gateways: Vec<_> = self
            .workers
            .iter()
            .map(|_| Gateway::new(Arc::clone(&shared)).map(Arc::new))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        for (worker, gateway) in self.workers.iter().zip(gateways) {
            worker.store(gateway);
        }
        let changes = shared.changes();
        self.shared.store(shared);
        self.watch();
        Ok(changes)
    }

    fn files(&self) -> Vec<PathBuf> {
        let Some(file) = &self.source.file else { return Vec::new() };
        let mut files = self.shared.load().settings.files.clone();
        files.push(file.clone());
        files
    }

    /// Watches the folders of all files: files are often put in place by renaming, and then are others.
    fn watch(&mut self) {
        let files = self.files();
        let Some(watcher) = &mut self.watcher else { return };
        for file in files {
            let folder =
                file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if !self.folders.contains(folder) {
                match watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => drop(self.folders.insert(folder.to_owned())),
                    Err(error) => {
                        tracing::warn!(folder = %folder.display(), %error, "a folder cannot be watched");
                    }
                }
            }
        }
    }

    /// What all files say, in a number; one that cannot be read says nothing.
    fn fingerprint(&self) -> u64 {
        let said: Vec<_> = self.files().iter().map(|file| std::fs::read(file).unwrap_or_default()).collect();
        self.hasher.hash_one(said)
    }
}
