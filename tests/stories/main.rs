//! Stories on a real kube-apiserver, with strict simulators of Bob and the providers and the real
//! binary. The controller runs with a token of the chart's own ServiceAccount and with the RBAC
//! that the real helm renders, so a missing verb is noticed.
//!
//! Each story has a namespace, a company and a controller of its own. One control plane serves all.

mod support;

mod api_server;
mod approvals;
mod attempts;
mod budgets;
mod columns;
mod contested;
mod counts;
mod crashes;
mod evidence;
mod followers;
mod foreign_words;
mod guards;
mod hostile;
mod isolation;
mod kept;
mod kstatus;
mod leavers;
mod left_open;
mod licences;
mod lives;
mod map_of_stops;
mod meanwhile;
mod memory;
mod midnights;
mod modes;
mod older_crds;
mod operations;
mod outages;
mod owners;
mod process;
mod progress;
mod providers;
mod proxies;
mod reading;
mod refusals;
mod rotation;
mod settings;
mod shrinks;
mod statuses;
mod stops;
mod storms;
mod sums;
mod triggers;
mod unreadable;
mod unwritten;
mod waits;
mod webhooks;
mod windows;
