"""The part of Linear's schema that we use, with its own names and types (packages/sdk/src/schema.graphql of
linear/linear). A query for anything else is an error, as it would be there."""

SDL = """
scalar DateTime
scalar DateTimeOrDuration
scalar TimelessDate
scalar TimelessDateOrDuration
scalar JSONObject

enum PaginationOrderBy { createdAt updatedAt }

input IDComparator { eq: ID in: [ID!] neq: ID nin: [ID!] }
input StringComparator {
  contains: String endsWith: String eq: String eqIgnoreCase: String in: [String!] neq: String
  neqIgnoreCase: String nin: [String!] startsWith: String
}
input DateComparator {
  eq: DateTimeOrDuration gt: DateTimeOrDuration gte: DateTimeOrDuration in: [DateTimeOrDuration!]
  lt: DateTimeOrDuration lte: DateTimeOrDuration neq: DateTimeOrDuration nin: [DateTimeOrDuration!]
}
input TeamFilter {
  and: [TeamFilter!] id: IDComparator key: StringComparator name: StringComparator or: [TeamFilter!]
}
input NullableTeamFilter { id: IDComparator key: StringComparator name: StringComparator null: Boolean }
input TeamCollectionFilter { every: TeamFilter some: TeamFilter }
input WorkflowStateFilter {
  and: [WorkflowStateFilter!] id: IDComparator name: StringComparator or: [WorkflowStateFilter!]
  team: TeamFilter type: StringComparator
}
input IssueLabelFilter { id: IDComparator name: StringComparator team: NullableTeamFilter }
input IssueLabelCollectionFilter {
  every: IssueLabelFilter id: IDComparator name: StringComparator some: IssueLabelFilter
}
input NullableProjectFilter { id: IDComparator name: StringComparator null: Boolean }
input ProjectFilter {
  accessibleTeams: TeamCollectionFilter and: [ProjectFilter!] id: IDComparator name: StringComparator
  or: [ProjectFilter!] updatedAt: DateComparator
}
input CycleFilter {
  and: [CycleFilter!] endsAt: DateComparator id: IDComparator name: StringComparator or: [CycleFilter!]
  startsAt: DateComparator team: TeamFilter updatedAt: DateComparator
}
input IssueFilter {
  and: [IssueFilter!] createdAt: DateComparator id: IDComparator labels: IssueLabelCollectionFilter
  or: [IssueFilter!] project: NullableProjectFilter state: WorkflowStateFilter team: TeamFilter
  title: StringComparator updatedAt: DateComparator
}

type PageInfo { endCursor: String hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String }
type Organization { id: ID! name: String! urlKey: String! }
type User { active: Boolean! displayName: String! email: String! id: ID! name: String! url: String! }
type Team { createdAt: DateTime! id: ID! key: String! name: String! timezone: String! updatedAt: DateTime! }
type TeamConnection { nodes: [Team!]! pageInfo: PageInfo! }
type WorkflowState {
  color: String! createdAt: DateTime! id: ID! name: String! position: Float! team: Team! type: String!
  updatedAt: DateTime!
}
type WorkflowStateConnection { nodes: [WorkflowState!]! pageInfo: PageInfo! }
type IssueLabel {
  color: String! createdAt: DateTime! id: ID! isGroup: Boolean! name: String! team: Team updatedAt: DateTime!
}
type IssueLabelConnection { nodes: [IssueLabel!]! pageInfo: PageInfo! }
type ProjectMilestone {
  createdAt: DateTime! id: ID! name: String! project: Project! targetDate: TimelessDate updatedAt: DateTime!
}
type ProjectMilestoneConnection { nodes: [ProjectMilestone!]! pageInfo: PageInfo! }
type Project {
  archivedAt: DateTime createdAt: DateTime! id: ID! name: String!
  projectMilestones(after: String, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy):
    ProjectMilestoneConnection!
  slugId: String! startDate: TimelessDate targetDate: TimelessDate updatedAt: DateTime! url: String!
}
type ProjectConnection { nodes: [Project!]! pageInfo: PageInfo! }
type Cycle {
  createdAt: DateTime! endsAt: DateTime! id: ID! name: String number: Float! startsAt: DateTime! team: Team!
  updatedAt: DateTime!
}
type CycleConnection { nodes: [Cycle!]! pageInfo: PageInfo! }
type Issue {
  archivedAt: DateTime assignee: User createdAt: DateTime! cycle: Cycle description: String
  dueDate: TimelessDate id: ID! identifier: String! labelIds: [String!]!
  labels(after: String, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy):
    IssueLabelConnection!
  number: Float! priority: Float! priorityLabel: String! project: Project projectMilestone: ProjectMilestone
  state: WorkflowState! team: Team! title: String! trashed: Boolean updatedAt: DateTime! url: String!
}
type IssueConnection { nodes: [Issue!]! pageInfo: PageInfo! }
type Comment { body: String! createdAt: DateTime! id: ID! issue: Issue updatedAt: DateTime! url: String! }
type Attachment {
  createdAt: DateTime! id: ID! issue: Issue! metadata: JSONObject! subtitle: String title: String!
  updatedAt: DateTime! url: String!
}

input IssueUpdateInput {
  addedLabelIds: [String!] assigneeId: String cycleId: String description: String dueDate: TimelessDate
  labelIds: [String!] priority: Int projectId: String projectMilestoneId: String removedLabelIds: [String!]
  stateId: String title: String trashed: Boolean
}
input CommentCreateInput {
  body: String createAsUser: String displayIconUrl: String doNotSubscribeToIssue: Boolean id: String
  issueId: String parentId: String
}
input AttachmentCreateInput {
  commentBody: String createAsUser: String groupBySource: Boolean iconUrl: String id: String issueId: String!
  metadata: JSONObject subtitle: String title: String! url: String!
}
type IssuePayload { issue: Issue lastSyncId: Float! success: Boolean! }
type CommentPayload { comment: Comment! lastSyncId: Float! success: Boolean! }
type AttachmentPayload { attachment: Attachment! lastSyncId: Float! success: Boolean! }

type Query {
  comment(id: String, issueId: String): Comment!
  cycles(
    after: String, filter: CycleFilter, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy
  ): CycleConnection!
  issue(id: String!): Issue!
  issueLabels(
    after: String, filter: IssueLabelFilter, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy
  ): IssueLabelConnection!
  issues(
    after: String, filter: IssueFilter, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy
  ): IssueConnection!
  organization: Organization!
  project(id: String!): Project!
  projects(
    after: String, filter: ProjectFilter, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy
  ): ProjectConnection!
  teams(after: String, filter: TeamFilter, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy):
    TeamConnection!
  viewer: User!
  workflowStates(
    after: String, filter: WorkflowStateFilter, first: Int, includeArchived: Boolean,
    orderBy: PaginationOrderBy
  ): WorkflowStateConnection!
}
type Mutation {
  attachmentCreate(input: AttachmentCreateInput!): AttachmentPayload!
  commentCreate(input: CommentCreateInput!): CommentPayload!
  issueUpdate(id: String!, input: IssueUpdateInput!): IssuePayload!
}
"""
