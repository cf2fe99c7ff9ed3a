//! Takes in what the watch or an own write says of one object. The newer version counts.

use super::{Entry, News, people::Entries};

impl Entries {
    /// Takes in an object that the watch brought. `of_another`: a person or Git wrote it.
    pub fn see(&mut self, employee: Box<str>, fresh: Entry, of_another: bool) -> News {
        match self.get(&employee) {
            Some(known) if known.version >= fresh.version => {
                // After a change of the CRD, the same version may have other fields.
                let other = known.exists
                    && known.version == fresh.version
                    && known.overrides != fresh.overrides;
                if !other && !known.unheard {
                    return News::Nothing;
                }
                self.change(&employee, |entry| {
                    entry.unheard = false;
                    if other {
                        entry.overrides = fresh.overrides;
                    }
                });
                News::Wake
            }
            Some(known) if known.exists => {
                let same_status = known.digest == fresh.digest;
                let ours = same_status || known.writing;
                // An answer to a request is not a request.
                let asked =
                    fresh.sync_requested.is_some() && known.sync_requested != fresh.sync_requested;
                let same_spec = known.generation == fresh.generation && !known.unheard;
                let news = if same_spec && ours && !asked { News::Nothing } else { News::Wake };
                let verdict = if same_status { known.verdict } else { 0 };
                let (writing, unrecorded) = (known.writing, known.unrecorded);
                let fresh = Entry { unrecorded, writing, verdict, ..fresh.after(known) };
                self.put(employee, fresh);
                news
            }
            known => {
                let news = if of_another { News::Wake } else { News::Nothing };
                let fresh = match known {
                    Some(known) => Entry { unrecorded: known.unrecorded, ..fresh.after(known) },
                    None => fresh,
                };
                self.put(employee, fresh);
                news
            }
        }
    }

    /// Takes in what the controller has just written.
    pub fn wrote(&mut self, employee: Box<str>, fresh: Entry) {
        match self.aside(&employee) {
            Some(known)
                if known.version > fresh.version
                    || !known.exists && known.version == fresh.version =>
            {
                known.writing = false
            }
            Some(known) => {
                // The same version shows another spec only if the CRD has changed. The watch takes
                // that in, because it knows whether the CRD has every field.
                let same = known.exists && known.version == fresh.version;
                let overrides =
                    if same { known.overrides.clone() } else { fresh.overrides.clone() };
                let fresh = Entry { overrides, ..fresh };
                let unheard = known.unheard || fresh.asks_other_than(known);
                let fresh = Entry { unheard, ..fresh.after(known) };
                self.put(employee, fresh);
            }
            None => {
                let unheard = fresh.asks_other_than(&Entry { generation: 1, ..Entry::default() });
                self.put(employee, Entry { unheard, ..fresh });
            }
        }
    }
}
