//! What others have been attacked with, tried on this server (contract section 9).

mod addresses;
mod certificates;
mod configuration;
mod floods;
mod hostile_members;
mod labels;
mod redirects;
mod stripping;
