export const proposalTabs = ['overview', 'evidence', 'timeline', 'proof'] as const
export type ProposalTab = (typeof proposalTabs)[number]
