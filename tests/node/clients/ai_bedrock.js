import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';

import { THINKING_BUDGET, URL } from '../common.js';
import { client } from './ai.js';

const provider = createAmazonBedrock({
  accessKeyId: 'AKIATEST',
  baseURL: URL,
  region: 'us-east-1',
  secretAccessKey: 'secret',
});

export default client({
  language: (model) => provider(model),
  // The SDK's own setting of a budget is for models whose names it knows.
  thinking: {
    bedrock: {
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: THINKING_BUDGET } },
    },
  },
  overflow: 'too long',
});
