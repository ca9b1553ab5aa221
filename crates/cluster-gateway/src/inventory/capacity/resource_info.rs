//! The same in VelaUX's numbers.

use serde::Serialize;

use super::Capacity;

/// What VelaUX calls `resourceInfo`. *Used* is what is not for pods, not what pods use. There is nothing of GPUs: VelaUX has
/// never filled that in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    /// Nodes that are no masters; today's control planes among them.
    pub worker_number: u64,
    /// Nodes with the label `node-role.kubernetes.io/master`.
    pub master_number: u64,
    /// Bytes.
    pub memory_capacity: u64,
    /// Cores, rounded up.
    pub cpu_capacity: u64,
    /// Pods.
    pub pod_capacity: u64,
    /// Bytes that are not for pods.
    pub memory_used: u64,
    /// Cores that are not for pods, rounded up.
    pub cpu_used: u64,
    /// Pods that may not be there.
    pub pod_used: u64,
    /// Names of the storage classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage_class_list: Vec<String>,
}

impl From<&Capacity> for ResourceInfo {
    fn from(found: &Capacity) -> Self {
        let Capacity { capacity, allocatable, .. } = found;
        // To a thousandth first: a sum of fractions is never quite what it should be.
        let cores = |cpu: f64| ((cpu * 1e3).round() / 1e3).ceil() as u64;
        Self {
            worker_number: found.all.workers,
            master_number: found.all.masters,
            memory_capacity: capacity.memory,
            cpu_capacity: cores(capacity.cpu),
            pod_capacity: capacity.pods,
            memory_used: capacity.memory.saturating_sub(allocatable.memory),
            cpu_used: cores(capacity.cpu - allocatable.cpu),
            pod_used: capacity.pods.saturating_sub(allocatable.pods),
            storage_class_list: found.storage_classes.iter().map(|class| class.name.clone()).collect(),
        }
    }
}
