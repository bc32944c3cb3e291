namespace Aspire;
