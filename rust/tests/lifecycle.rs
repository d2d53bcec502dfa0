// SPDX-License-Identifier: GPL-2.0

//! A model of the life of containers over the registry that the kernel builds, with all
//! interleavings tried, within a bound.
//!
//! What is modelled: creation with its roll-back, the death of the last member (under
//! `tasklist_lock`), the removal of the name by whoever reaps, the numbers that go one by one (under
//! `pidmap_lock`), and the id that is free after the last of them. There is one name, and one id is
//! free: whoever comes late meets the next container with the same name and the same id.

use loom::{
    model::Builder,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        Arc, Mutex,
    },
    thread,
};
use pidspace_host::{
    id_pool::IdPool,
    layout::Id,
    name::Name,
    registry::{Handle, InsertError, Names, Registry},
};
use std::collections::BTreeMap;

/// A view, with what C knows of it.
struct View {
    name: Name,
    /// Its last member has died.
    ended: AtomicBool,
    /// Entries of its idr.
    numbers: Mutex<usize>,
}

#[derive(Clone)]
struct Ref(Arc<View>);

impl Handle for Ref {
    fn has_ended(&self) -> bool {
        self.0.ended.load(SeqCst)
    }
}

struct Map(BTreeMap<Name, Ref>);

impl Names for Map {
    type Handle = Ref;
    type Node = (Name, Ref);
    type Removed = Ref;

    fn get(&self, name: &Name) -> Option<&Ref> {
        self.0.get(name)
    }
    fn insert(&mut self, node: (Name, Ref)) {
        assert!(self.0.insert(node.0, node.1).is_none());
    }
    fn remove(&mut self, name: &Name) -> Option<Ref> {
        self.0.remove(name)
    }
}

/// How late comers recognise what they have come to remove.
#[derive(Clone, Copy)]
enum Identity {
    /// As the kernel does it: by the view.
    View,
    /// As the first build did: by name and id.
    Value,
}

struct World {
    registry: Mutex<Registry<Map, Vec<u16>>>,
    by_id: Mutex<BTreeMap<u32, Ref>>,
    alive: AtomicUsize,
    identity: Identity,
}

impl World {
    fn new(identity: Identity) -> Arc<Self> {
        let mut pool = IdPool::new(vec![0; Id::COUNT]).unwrap();
        for _ in 1..Id::COUNT {
            pool.take().unwrap();
        }
        Arc::new(World {
            registry: Mutex::new(Registry::new(Map(BTreeMap::new()), pool)),
            by_id: Mutex::new(BTreeMap::new()),
            alive: AtomicUsize::new(0),
            identity,
        })
    }

    fn is_it(&self, found: &Ref, view: &Ref) -> bool {
        match self.identity {
            Identity::View => Arc::ptr_eq(&found.0, &view.0),
            Identity::Value => found.0.name == view.0.name,
        }
    }

    /// `create()`, which fails at the last step if `fails`.
    fn create(&self, name: Name, fails: bool) -> Result<(Ref, Id), InsertError> {
        let view = Ref(Arc::new(View {
            name,
            ended: AtomicBool::new(false),
            numbers: Mutex::new(0),
        }));
        let inserted = self
            .registry
            .lock()
            .unwrap()
            .insert(&name, (name, view.clone()));
        let (id, _old) = inserted.map_err(|(e, _)| e)?;
        let old = self.by_id.lock().unwrap().insert(id.as_raw(), view.clone());
        assert!(old.is_none(), "an id was handed out that leads to somebody");
        if fails {
            self.remove(&view, id, true);
            return Err(InsertError::NoId);
        }
        // `pid_view_attach()`: vpid 1 and the former number.
        *view.0.numbers.lock().unwrap() = 2;
        assert_eq!(self.alive.fetch_add(1, SeqCst), 0, "two of one name");
        Ok((view, id))
    }

    /// The container can be found by its name and its id.
    fn expect_there(&self, view: &Ref, id: Id) {
        let registry = self.registry.lock().unwrap();
        let found = registry.find(&view.0.name);
        assert!(
            found.is_some_and(|f| Arc::ptr_eq(&f.0, &view.0)),
            "lost its name"
        );
        drop(registry);
        let by_id = self.by_id.lock().unwrap();
        let found = by_id.get(&id.as_raw());
        assert!(
            found.is_some_and(|f| Arc::ptr_eq(&f.0, &view.0)),
            "lost its id"
        );
    }

    /// `exit_notify()` of the last member.
    fn last_member_dies(&self, view: &Ref) {
        self.alive.fetch_sub(1, SeqCst);
        view.0.ended.store(true, SeqCst);
    }

    /// `pidspace_end()`
    fn end(&self, view: &Ref) {
        let mut registry = self.registry.lock().unwrap();
        let _removed = registry.end(&view.0.name, |found| self.is_it(found, view));
    }

    /// `Directory::remove()`
    fn remove(&self, view: &Ref, id: Id, unseen: bool) {
        let mut registry = self.registry.lock().unwrap();
        let _by_name = registry.end(&view.0.name, |found| self.is_it(found, view));
        let _by_id = registry.retire(id, unseen, || {
            let mut by_id = self.by_id.lock().unwrap();
            by_id.get(&id.as_raw()).filter(|f| self.is_it(f, view))?;
            by_id.remove(&id.as_raw())
        });
    }

    /// `pid_view_reserve()` of one who joins, and then does not: a number comes and goes.
    fn reserve_and_give_back(&self, view: &Ref, id: Id) {
        let mut numbers = view.0.numbers.lock().unwrap();
        if view.0.ended.load(SeqCst) {
            return;
        }
        *numbers += 1;
        drop(numbers);
        self.put_number(view, id);
    }

    /// A number goes; `pid_view_put_number()` after it, without the lock.
    fn put_number(&self, view: &Ref, id: Id) {
        *view.0.numbers.lock().unwrap() -= 1;
        if view.0.ended.load(SeqCst) && *view.0.numbers.lock().unwrap() == 0 {
            self.remove(view, id, false);
        }
    }

    fn expect_empty(&self) {
        let mut registry = self.registry.lock().unwrap();
        assert!(registry.find(&web()).is_none(), "a name is left");
        assert!(
            self.by_id.lock().unwrap().is_empty(),
            "an id leads to somebody"
        );
        let view = Ref(Arc::new(View {
            name: web(),
            ended: AtomicBool::new(true),
            numbers: Mutex::new(0),
        }));
        let (id, _) = registry
            .insert(&web(), (web(), view.clone()))
            .map_err(|e| e.0)
            .unwrap();
        assert!(matches!(
            registry.insert(&web(), (web(), view)),
            Err((InsertError::NoId, _))
        ));
        registry.give(id, true);
    }
}

fn web() -> Name {
    Name::parse(b"web").unwrap()
}

/// Ends `view` as its reaper does: the name first, then number by number.
fn reap(world: &World, view: &Ref, id: Id) {
    world.end(view);
    world.put_number(view, id);
    world.put_number(view, id);
}

/// One container ends, with a reaper and somebody who fails to join, while the next one of that
/// name is created. It gets the name at once, and the id when that is free.
fn late_comers(identity: Identity) {
    let world = World::new(identity);
    let (view, id) = world.create(web(), false).unwrap();

    let joiner = {
        let (world, view) = (world.clone(), view.clone());
        thread::spawn(move || world.reserve_and_give_back(&view, id))
    };
    let next = {
        let world = world.clone();
        thread::spawn(move || match world.create(web(), false) {
            Ok((view, id)) => {
                world.expect_there(&view, id);
                Some((view, id))
            }
            Err(_) => None,
        })
    };
    world.last_member_dies(&view);
    reap(&world, &view, id);
    joiner.join().unwrap();

    if let Some((view, id)) = next.join().unwrap() {
        world.expect_there(&view, id);
        world.last_member_dies(&view);
        reap(&world, &view, id);
    }
    world.expect_empty();
}

/// A creation that fails while a container of that name ends.
fn failed_creation() {
    let world = World::new(Identity::View);
    let (view, id) = world.create(web(), false).unwrap();
    let failing = {
        let world = world.clone();
        thread::spawn(move || assert!(world.create(web(), true).is_err()))
    };
    world.last_member_dies(&view);
    reap(&world, &view, id);
    failing.join().unwrap();
    world.expect_empty();
}

/// The name is free for who saw the end, whoever has come to remove it.
fn name_is_free() {
    let world = World::new(Identity::View);
    // A second id, so that the next container does not wait for that of the first.
    world.registry.lock().unwrap().give(Id::FIRST, false);
    let (view, id) = world.create(web(), false).unwrap();
    world.last_member_dies(&view);
    let reaper = {
        let (world, view) = (world.clone(), view.clone());
        thread::spawn(move || reap(&world, &view, id))
    };
    let (next, next_id) = world.create(web(), false).expect("the name is taken");
    world.expect_there(&next, next_id);
    reaper.join().unwrap();
    world.expect_there(&next, next_id);
}

/// Tries all interleavings with at most that many switches away from a thread that could go on.
const PREEMPTIONS: usize = 3;

fn check(f: impl Fn() + Sync + Send + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(f);
}

#[test]
fn late_comers_remove_nobody_else() {
    check(|| late_comers(Identity::View));
}

/// The model finds the fault that it is there for.
#[test]
#[should_panic(expected = "lost its")]
fn identity_by_value_is_found_out() {
    check(|| late_comers(Identity::Value));
}

#[test]
fn failed_creations_leave_nothing() {
    check(failed_creation);
}

#[test]
fn a_name_is_free_for_who_saw_the_end() {
    check(name_is_free);
}
