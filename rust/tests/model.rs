// SPDX-License-Identifier: GPL-2.0

//! Property tests against small reference models.

use pidspace_host::{
    config::{PID_MAX_LIMIT, VPID_BITS},
    id_pool::IdPool,
    layout::{HostPid, Id, Vpid, HOST_PID_BITS},
    name::{Name, NameError},
};
use proptest::prelude::*;
use std::collections::VecDeque;

fn ids() -> impl Strategy<Value = Id> {
    (Id::FIRST.as_raw()..=Id::LAST.as_raw()).prop_map(|id| Id::new(id).unwrap())
}

fn vpids() -> impl Strategy<Value = Vpid> {
    (1..=Vpid::MAX.as_raw()).prop_map(|nr| Vpid::new(nr).unwrap())
}

proptest! {
    #[test]
    fn a_host_pid_is_id_and_vpid(id in ids(), vpid in vpids()) {
        let nr = HostPid::new(id, vpid).as_raw();
        prop_assert_eq!(nr >> VPID_BITS, id.as_raw() as i32);
        prop_assert_eq!(nr & ((1 << VPID_BITS) - 1), vpid.as_raw());
        prop_assert!(nr > PID_MAX_LIMIT as i32 && nr < 1 << HOST_PID_BITS);

        let back = HostPid::from_raw(nr).unwrap();
        prop_assert_eq!((back.id(), back.vpid()), (id, vpid));
    }

    #[test]
    fn any_number_is_a_host_pid_or_not(nr in any::<i32>()) {
        // The model: plain arithmetic on i64.
        let (id, vpid) = (i64::from(nr) >> VPID_BITS, i64::from(nr) & ((1 << VPID_BITS) - 1));
        let valid = (64..4096).contains(&id) && vpid >= 1;
        match HostPid::from_raw(nr) {
            Some(host_pid) => {
                prop_assert!(valid);
                prop_assert_eq!(host_pid.as_raw(), nr);
            }
            None => prop_assert!(!valid),
        }
    }

    #[test]
    fn order_is_that_of_the_numbers(a in (ids(), vpids()), b in (ids(), vpids())) {
        let (x, y) = (HostPid::new(a.0, a.1), HostPid::new(b.0, b.1));
        prop_assert_eq!(x.cmp(&y), x.as_raw().cmp(&y.as_raw()));
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn the_pool_is_a_queue(ops in prop::collection::vec(any::<(u8, prop::sample::Index)>(), 0..9000)) {
        let mut pool = IdPool::new(vec![0; Id::COUNT]).unwrap();
        let mut free: VecDeque<u32> = (Id::FIRST.as_raw()..=Id::LAST.as_raw()).collect();
        let mut used: Vec<u32> = Vec::new();
        for (op, index) in ops {
            match op % 8 {
                // More is taken than given, so that the pool runs dry and wraps.
                0..=4 => {
                    let id = pool.take().map(Id::as_raw);
                    prop_assert_eq!(id, free.pop_front());
                    used.extend(id);
                }
                5 | 6 if !used.is_empty() => {
                    let id = used.swap_remove(index.index(used.len()));
                    pool.give(Id::new(id).unwrap());
                    free.push_back(id);
                }
                7 => {
                    if let Some(id) = pool.take() {
                        pool.undo(id);
                        prop_assert_eq!(Some(&id.as_raw()), free.front());
                    }
                }
                _ => {}
            }
        }
        // What is left is what the model has, in its order.
        while let Some(id) = pool.take() {
            prop_assert_eq!(Some(id.as_raw()), free.pop_front());
        }
        prop_assert!(free.is_empty());
    }

    #[test]
    fn no_id_comes_back_before_all_others(taken in 1..Id::COUNT, which in any::<prop::sample::Index>()) {
        let mut pool = IdPool::new(vec![0; Id::COUNT]).unwrap();
        let held: Vec<Id> = (0..taken).map(|_| pool.take().unwrap()).collect();
        let id = held[which.index(taken)];
        pool.give(id);
        for _ in 0..Id::COUNT - taken {
            prop_assert_ne!(pool.take(), Some(id));
        }
        prop_assert_eq!(pool.take(), Some(id));
        prop_assert_eq!(pool.take(), None);
    }

    #[test]
    fn names_of_the_alphabet_are_names(name in "[A-Za-z0-9._-]{1,31}", newline in any::<bool>()) {
        let line = format!("{name}{}", if newline { "\n" } else { "" });
        let parsed = Name::parse(line.as_bytes());
        if name == "." || name == ".." {
            prop_assert_eq!(parsed, Err(NameError::Invalid));
        } else {
            let parsed = parsed.unwrap();
            prop_assert_eq!(parsed.as_str(), name);
        }
    }

    #[test]
    fn long_names_are_too_long(name in "[A-Za-z0-9._-]{32,80}") {
        prop_assert_eq!(Name::parse(name.as_bytes()), Err(NameError::TooLong));
    }

    #[test]
    fn other_characters_are_invalid(
        before in "[A-Za-z0-9._-]{0,8}",
        bad in any::<u8>(),
        after in "[A-Za-z0-9._-]{0,8}",
    ) {
        prop_assume!(!(bad.is_ascii_alphanumeric() || b"._-".contains(&bad)));
        // A newline at the end of a name is no character of it.
        prop_assume!(!(bad == b'\n' && after.is_empty() && !before.is_empty()));
        let line = [before.as_bytes(), &[bad], after.as_bytes()].concat();
        prop_assert_eq!(Name::parse(&line), Err(NameError::Invalid));
    }

    #[test]
    fn names_are_ordered_as_bytes(a in "[A-Za-z0-9_-]{1,31}", b in "[A-Za-z0-9_-]{1,31}") {
        let (x, y) = (Name::parse(a.as_bytes()).unwrap(), Name::parse(b.as_bytes()).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }
}

#[test]
fn the_numbers_of_the_design() {
    assert_eq!(Id::FIRST.as_raw(), 64);
    assert_eq!(Id::COUNT, 4032);
    assert_eq!(Vpid::MAX.as_raw(), 65535);
    let first_child = HostPid::new(Id::FIRST, Vpid::new(2).unwrap());
    assert_eq!(first_child.as_raw(), 4194306);
}

#[test]
fn storage_of_another_size_is_refused() {
    assert!(IdPool::new(vec![0u16; Id::COUNT - 1]).is_none());
    assert!(IdPool::new(vec![0u16; Id::COUNT + 1]).is_none());
}
