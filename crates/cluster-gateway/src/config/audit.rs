//! The settings of auditing.

use std::path::Path;

use super::check_files;
use super::options::{AuditMode, AuditOptions};
use crate::audit::{AuditConfig, LogConfig, LogTarget, Mode, Policy, WebhookConfig};

/// `None`: nothing is audited. As in kube-apiserver, half of what is needed is no mistake (contract rule 136).
pub(super) fn resolve(options: &AuditOptions, mistakes: &mut Vec<String>) -> Option<AuditConfig> {
    let files = [
        ("--audit-policy-file", &options.audit_policy_file),
        ("--audit-webhook-config-file", &options.audit_webhook_config_file),
    ];
    check_files(&files, mistakes);
    let backend = options.audit_log_path.is_some() || options.audit_webhook_config_file.is_some();
    let Some(path) = &options.audit_policy_file else {
        if backend {
            tracing::warn!(
                "nothing is audited: --audit-log-path and --audit-webhook-config-file have no effect without \
                 --audit-policy-file, which says what is"
            );
        }
        return None;
    };
    let policy = policy(path, mistakes)?;
    if !backend {
        tracing::warn!(
            "nothing is audited: --audit-policy-file has no effect without --audit-log-path or \
             --audit-webhook-config-file, where events go"
        );
        return None;
    }
    let log = options.audit_log_path.clone().map(|path| LogConfig {
        mode: mode(options.audit_log_mode),
        max_size: options.audit_log_maxsize,
        max_backups: options.audit_log_maxbackup,
        max_age: options.audit_log_maxage,
        target: if path.as_os_str() == "-" { LogTarget::Stdout } else { LogTarget::File(path) },
    });
    let webhook = options.audit_webhook_config_file.clone().map(|kubeconfig| WebhookConfig {
        kubeconfig,
        mode: mode(options.audit_webhook_mode),
        buffer_size: options.audit_webhook_batch_buffer_size,
        max_size: options.audit_webhook_batch_max_size,
        max_wait: options.audit_webhook_batch_max_wait,
        initial_backoff: options.audit_webhook_initial_backoff,
    });
    Some(AuditConfig { policy, log, webhook })
}

fn mode(mode: AuditMode) -> Mode {
    match mode {
        AuditMode::Batch => Mode::Batch,
        AuditMode::Blocking => Mode::Blocking,
    }
}

fn policy(path: &Path, mistakes: &mut Vec<String>) -> Option<Policy> {
    // A file that cannot be read has been reported with the others.
    let text = std::fs::read(path).ok()?;
    let file = path.display().to_string();
    let Ok(text) = String::from_utf8(text) else {
        mistakes.push(format!("--audit-policy-file: {file}: not UTF-8"));
        return None;
    };
    let policy = Policy::parse(&file, &text);
    let problems = policy.as_ref().err().into_iter().flatten();
    mistakes.extend(problems.map(|problem| format!("--audit-policy-file: {problem}")));
    policy.ok()
}
