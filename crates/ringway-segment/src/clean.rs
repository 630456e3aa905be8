//! Names whose segments nobody is attached to, removed from outside.
//!
//! # Dead is what nobody is attached to
//!
//! Whoever has a segment in a file open holds its presence lock, shared, from before the segment is seen under its name
//! until it leaves or has died (`segment.rs`). The kernel takes the lock from the dead, so a segment whose lock nobody
//! holds is dead, and one that somebody holds is not: no word in the memory, no process id and no age is asked.
//! Views and taps hold nothing, and so keep no name; what they have mapped stays with them.
//!
//! # Cleaning
//!
//! 1. Open what has the name; it must be a whole segment of this layout and this user's.
//! 2. If others hold the presence lock shared, somebody lives there: done. If one holds it alone, somebody is just
//!    removing the name: wait, begin again.
//! 3. Ask whether what is in it is unwanted; if not: done.
//! 4. Take the lock alone, without waiting. If that fails somebody has come: begin again.
//! 5. If the name does not mean this file any more, begin again.
//! 6. Ask once more; if it is still unwanted, remove the name.
//! 7. Give the lock back.
//!
//! Why it is safe:
//! - *Nobody who lives loses the name.* In 6 nobody else holds the lock, so nobody is attached. Who opens the file
//!   meanwhile takes the lock only after 7, finds that the name does not mean this file, and begins again (`place.rs`),
//!   having touched nothing of the memory.
//! - *No other segment's name is removed.* While the lock is held alone only its holder removes the name of this file,
//!   and a name that is there cannot be given to another (`linkat` fails). So what 5 found holds in 6, and 6 looks again.
//!   Somebody who keeps to no protocol (`rm`, `mv`) can come between its look and its removal; nothing guards against that.
//! - *No two segments under one name.* A new one gets the name only after this one has lost it, and then nobody is
//!   attached to this one or will be.
//! - *Many at once.* Of those that come to 4 at once one gets the lock; the others find it held alone and wait, or find
//!   the name gone. A cleaner that is killed gives the lock back, with the name there or gone; both are good.
//! - *The last to leave.* It cannot be alone while a cleaner is, and then relies on that one to remove the name, as on
//!   any other that leaves (`segment.rs`). It has given its presence back before and writes nothing any more, so what
//!   the cleaner asks in 6 is what it would have asked itself: hence what is demanded of `unwanted`, and hence 3, which
//!   keeps those away from the lock that will not remove anything.
//!
//! A cleaner that is *stopped* between 4 and 7 keeps those out who open the segment: they wait for a second, and then
//! say so ([`OpenError::Busy`]).
//!
//! # What is left alone
//!
//! Whatever is not certain to be ours and dead: files that are no segments, or damaged, or of another layout version,
//! whose locks may mean something else; links, directories, devices; files of other users, be they readable, and also
//! if this user is root.

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use crate::error::{CleanError, OpenError};
use crate::inspect;
use crate::place::{self, PATIENCE, PAUSE, Patience, Site};
use crate::sys::{self, Hold};
use crate::view::View;

/// What became of a name, and a view of its segment.
#[derive(Debug)]
pub enum Cleaned {
    /// Nobody was attached, and the name is gone. The memory goes with this view.
    Removed(View),
    /// Somebody is attached.
    InUse(View),
    /// Nobody is attached, but what is in it is wanted.
    Kept(View),
}

/// Removes the name of a site if that is right.
pub(crate) fn clean(site: &Site, mut unwanted: impl FnMut(&View) -> bool) -> Result<Cleaned, CleanError> {
    let mut patience = Patience::new();
    loop {
        if let Some(cleaned) = try_clean(site, &mut unwanted)? {
            return Ok(cleaned);
        }
        patience.again(&site.path)?;
    }
}

/// Says what that would do.
pub(crate) fn would_clean(site: &Site, unwanted: impl FnOnce(&View) -> bool) -> Result<Cleaned, CleanError> {
    let view = look(site, libc::O_RDONLY)?;
    Ok(if view.is_attached()? {
        Cleaned::InUse(view)
    } else if unwanted(&view) {
        Cleaned::Removed(view)
    } else {
        Cleaned::Kept(view)
    })
}

/// `None` if somebody came between.
fn try_clean(site: &Site, unwanted: &mut impl FnMut(&View) -> bool) -> Result<Option<Cleaned>, CleanError> {
    // To be locked alone it has to be open for writing.
    let view = look(site, libc::O_RDWR)?;
    let descriptor = view.descriptor();
    match descriptor.presence().map_err(site.fault("ask who is attached"))? {
        Some(Hold::Shared) => return Ok(Some(Cleaned::InUse(view))),
        Some(Hold::Alone) => {
            await_company(site, &view)?;
            return Ok(None);
        }
        None => {}
    }
    if !unwanted(&view) {
        return Ok(Some(Cleaned::Kept(view)));
    }
    if !descriptor.try_be_alone().map_err(site.fault("lock it"))? {
        return Ok(None);
    }
    if !place::means(&site.path, descriptor.file()).map_err(site.fault("look at its name"))? {
        return Ok(None);
    }
    let removed = unwanted(&view).then(|| place::remove_if_same(&site.path, descriptor.file())).transpose();
    descriptor.part().map_err(site.fault("unlock it"))?;
    Ok(match removed.map_err(|source| barred(site, source))? {
        None => Some(Cleaned::Kept(view)),
        Some(true) => Some(Cleaned::Removed(view)),
        Some(false) => None,
    })
}

/// Looks at what has the name, and at whose it is.
fn look(site: &Site, access: libc::c_int) -> Result<View, CleanError> {
    let descriptor = site.open_file(access)?;
    let (found, ours) = (site.check_file(descriptor.file())?.uid(), sys::effective_user());
    if found != ours {
        return Err(CleanError::Owner { path: site.path.clone(), found, ours });
    }
    let geometry = inspect::whole(descriptor.file(), &site.origin)?;
    Ok(View::map(descriptor, None, geometry, &site.origin).map_err(OpenError::from)?)
}

/// Waits until nobody holds the segment alone. Who does lets go in a moment.
fn await_company(site: &Site, view: &View) -> Result<(), CleanError> {
    let start = Instant::now();
    let presence = || view.descriptor().presence().map_err(site.fault("ask who is attached"));
    while presence()? == Some(Hold::Alone) {
        let waited = start.elapsed();
        if waited > PATIENCE {
            return Err(OpenError::Busy { path: site.path.clone(), waited }.into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn barred(site: &Site, source: std::io::Error) -> CleanError {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            CleanError::NotPermitted { path: site.path.clone() }
        }
        _ => site.fault("remove its name")(source).into(),
    }
}
