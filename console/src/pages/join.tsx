import { useState } from 'preact/hooks';
import type { Contexts, FleetCluster } from '../api/types';
import { usePermissions } from '../state/permissions';
import { Empty, useHeading } from '../ui/basics';
import { JoinCheck } from './join-check';
import { JoinChoose } from './join-choose';
import { JoinFile } from './join-file';
import { JoinWatch } from './join-watch';

/** What has been chosen on the way; a step adds its part. */
export interface Wish {
  kubeConfig: string;
  fileName: string;
  contexts: Contexts;
  context: string;
  name: string;
  alias: string;
  labels: Record<string, string>;
  serviceAccount: boolean;
  insecureSkipTLSVerify: boolean;
  digest: string;
}

const NOTHING: Wish = {
  kubeConfig: '',
  fileName: '',
  contexts: { currentContext: '', contexts: [] },
  context: '',
  name: '',
  alias: '',
  labels: {},
  serviceAccount: true,
  insecureSkipTLSVerify: false,
  digest: '',
};

const STEPS = ['Kubeconfig', 'Cluster', 'Check', 'Join'];

export function JoinPage() {
  const heading = useHeading('Join a cluster');
  const permissions = usePermissions();
  const [step, setStep] = useState(0);
  const [wish, setWish] = useState(NOTHING);
  const add = (part: Partial<Wish>) => setWish((old) => ({ ...old, ...part }));
  return (
    <div class="wizard">
      <h1 ref={heading} tabIndex={-1}>
        Join a cluster
      </h1>
      {!permissions.join ? (
        <Empty title="You may not join clusters" icon="shield">
          <p>It takes the right to create Secrets in the gateway’s namespace at the hub. Ask somebody who runs it.</p>
        </Empty>
      ) : (
        <>
          <ol class="steps" aria-label="Steps">
            {STEPS.map((title, index) => (
              <li key={title} class={index < step ? 'is-done' : ''} aria-current={index === step ? 'step' : undefined}>
                <span class="step-number" aria-hidden="true">
                  {index < step ? '✓' : index + 1}
                </span>
                {title}
              </li>
            ))}
          </ol>
          {step === 0 && (
            <JoinFile
              wish={wish}
              onNext={(part) => {
                add(part);
                setStep(1);
              }}
            />
          )}
          {step === 1 && (
            <JoinChoose
              wish={wish}
              onBack={() => setStep(0)}
              onNext={(part) => {
                add(part);
                setStep(2);
              }}
            />
          )}
          {step === 2 && (
            <JoinCheck
              wish={wish}
              onBack={() => setStep(1)}
              onNext={(digest) => {
                add({ digest });
                setStep(3);
              }}
            />
          )}
          {step === 3 && (
            <JoinWatch
              wish={wish}
              onBack={() => setStep(2)}
              onJoined={() => add({ kubeConfig: '' })}
              onUndone={(_cluster: FleetCluster) => {
                setWish(NOTHING);
                setStep(0);
              }}
            />
          )}
        </>
      )}
    </div>
  );
}
