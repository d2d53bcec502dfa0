// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the pure parts. What they say of a model is tested on the host.

use super::{
    id_pool::IdPool,
    layout::{HostPid, Id, Vpid},
    name::{Name, NameError},
};
use kernel::prelude::*;

#[kunit_tests(pidspace_layout)]
mod layout_tests {
    use super::*;

    #[test]
    fn limits_match_the_configuration() {
        assert_eq!(
            Id::FIRST.as_raw() << super::super::config::VPID_BITS,
            super::super::config::PID_MAX_LIMIT
        );
        assert_eq!(
            HostPid::new(Id::LAST, Vpid::MAX).as_raw(),
            kernel::bindings::PIDSPACE_NR_LIMIT as i32 - 1
        );
        assert!(HostPid::FIRST.as_raw() > super::super::config::PID_MAX_LIMIT as i32);
    }

    #[test]
    fn numbers_survive_a_round_trip() -> Result {
        for id in [
            Id::FIRST.as_raw(),
            Id::FIRST.as_raw() + 1,
            Id::LAST.as_raw(),
        ] {
            let id = Id::new(id).ok_or(EINVAL)?;
            for vpid in [1, 2, 300, Vpid::MAX.as_raw()] {
                let vpid = Vpid::new(vpid).ok_or(EINVAL)?;
                let nr = HostPid::new(id, vpid).as_raw();
                let host_pid = HostPid::from_raw(nr).ok_or(EINVAL)?;
                assert_eq!(host_pid.id(), id);
                assert_eq!(host_pid.vpid(), vpid);
            }
        }
        Ok(())
    }

    #[test]
    fn other_numbers_are_not_host_pids() {
        for nr in [
            i32::MIN,
            -1,
            0,
            1,
            HostPid::FIRST.as_raw() - 1,
            HostPid::new(Id::LAST, Vpid::MAX).as_raw() + 1,
            i32::MAX,
        ] {
            assert!(HostPid::from_raw(nr).is_none());
        }
        assert!(Vpid::new(0).is_none());
        assert!(Vpid::new(Vpid::MAX.as_raw() + 1).is_none());
        assert!(Id::new(Id::FIRST.as_raw() - 1).is_none());
        assert!(Id::new(Id::LAST.as_raw() + 1).is_none());
    }
}

#[kunit_tests(pidspace_id_pool)]
mod id_pool_tests {
    use super::*;

    fn pool() -> Result<IdPool<KVVec<u16>>> {
        let mut ring = KVVec::new();
        ring.resize(Id::COUNT, 0, GFP_KERNEL)?;
        IdPool::new(ring).ok_or(EINVAL)
    }

    #[test]
    fn an_id_comes_back_after_all_others() -> Result {
        let mut pool = pool()?;
        let first = pool.take().ok_or(ENOSPC)?;
        assert_eq!(first, Id::FIRST);
        pool.give(first);
        for _ in 1..Id::COUNT {
            assert!(pool.take().ok_or(ENOSPC)? != first);
        }
        assert_eq!(pool.take(), Some(first));
        assert_eq!(pool.take(), None);
        Ok(())
    }

    #[test]
    fn undone_means_next() -> Result {
        let mut pool = pool()?;
        let first = pool.take().ok_or(ENOSPC)?;
        pool.undo(first);
        assert_eq!(pool.take(), Some(first));
        for _ in 1..Id::COUNT {
            assert!(pool.take().ok_or(ENOSPC)? != first);
        }
        assert_eq!(pool.take(), None);
        Ok(())
    }

    #[test]
    fn storage_of_another_size_is_refused() -> Result {
        let mut ring = KVVec::new();
        ring.resize(Id::COUNT - 1, 0, GFP_KERNEL)?;
        assert!(IdPool::new(ring).is_none());
        Ok(())
    }
}

#[kunit_tests(pidspace_name)]
mod name_tests {
    use super::*;

    #[test]
    fn names() {
        assert!(Name::parse(b"web").is_ok_and(|name| name.as_str() == "web"));
        assert!(Name::parse(b"web\n").is_ok_and(|name| name.as_str() == "web"));
        assert!(Name::parse(b"...").is_ok());
        assert!(Name::parse(&[b'x'; Name::MAX]).is_ok());
        assert_eq!(Name::parse(&[b'x'; Name::MAX + 1]), Err(NameError::TooLong));
        for line in [
            &b""[..],
            b"\n",
            b".",
            b"..\n",
            b"a b",
            b"a/b",
            b"a\nb",
            b"a\n\n",
            b"\0",
            b"\xff",
        ] {
            assert_eq!(Name::parse(line), Err(NameError::Invalid));
        }
    }
}
