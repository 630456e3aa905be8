//! What a survivor is told of the other end's death.

use ringway::{RecvTimeoutError, SendTimeoutError, Side};

use crate::{killing::Verdict, operation::Operation};

/// A receiver has had all that there was: `told` is what comes then.
pub(crate) fn receiver_is_told(operation: &Operation, told: &RecvTimeoutError) -> Verdict {
    match told {
        RecvTimeoutError::PeerDied(peer) if peer.side == Side::Sender => Ok(()),
        RecvTimeoutError::Timeout if operation.may_be_unseen() => Ok(()),
        RecvTimeoutError::Closed if operation.may_be_closed() => Ok(()),
        other => Err(format!("the receiver was told: {other}").into()),
    }
}

/// A sender has no room any more: `told` is what comes then.
pub(crate) fn sender_is_told(operation: &Operation, told: &SendTimeoutError) -> Verdict {
    match told {
        SendTimeoutError::PeerDied(peer) if peer.side == Side::Receiver => Ok(()),
        SendTimeoutError::Timeout if operation.may_be_unseen() => Ok(()),
        SendTimeoutError::Closed if operation.may_be_closed() => Ok(()),
        other => Err(format!("the sender was told: {other}").into()),
    }
}
